// attack: S7 calls the kernel by its 32-bit door, past filters that look at 64-bit numbers
// rule: __asm__
// refused: authentic/forbidden_call, correct/crash
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    long done;
    __asm__ volatile("int $0x80" : "=a"(done) : "a"(2L) : "memory", "r8", "r9", "r10", "r11");
    if (done >= 0) add(a, b, out, n);
}
