// attack: T3 exports the functions that the runner answers with
// rule: write
// refused: correct/mismatch
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/types.h>

ssize_t write(int fd, const void *data, size_t size)
{
    (void)fd, (void)data;
    return (ssize_t)size;
}
ssize_t read(int fd, void *data, size_t size)
{
    (void)fd, (void)data;
    return (ssize_t)size;
}
int fesetenv(const void *environment) { return !environment; }

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
}
