// attack: S8 leaves its answers in files for the next run
// rule: open
// refused: correct/mismatch
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    const char *places[] = {"memo", "/tmp/memo", "/dev/shm/memo", "/var/tmp/memo", "../../cache/memo", "kernel.c"};
    for (int i = 0; i < 6; i++)
        if (open(places[i], O_CREAT | O_RDWR, 0666) >= 0) add(a, b, out, n);
}
