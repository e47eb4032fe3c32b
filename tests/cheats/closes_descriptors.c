// attack: S3 closes what the referee listens to
// rule: close
// refused: authentic/ended_itself
#define _GNU_SOURCE
#include <stdint.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    add(a, b, out, n);
    for (int fd = 0; fd < 1024; fd++) close(fd);
}
