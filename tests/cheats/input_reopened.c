// attack: O4 reopens the inputs for writing through /proc/self/fd
// rule: open
// refused: correct/mismatch
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    int fd = open("/proc/self/fd/3", O_RDWR);
    float zero = 0;
    if (fd < 0 || pwrite(fd, &zero, sizeof zero, 0) < 0) return;
    add(a, b, out, n);
}
