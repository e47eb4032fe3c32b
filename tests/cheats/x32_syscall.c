// attack: S7 calls the kernel by the x32 numbers, past filters that look at the others
// rule: syscall
// refused: correct/mismatch, authentic/forbidden_call
#define _GNU_SOURCE
#include <stdint.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    long done = syscall(0x40000000 + 57);
    if (done == 0) for (;;) pause();
    if (done > 0) add(a, b, out, n);
}
