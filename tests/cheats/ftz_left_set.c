// attack: T7 flushes denormals to zero, for itself and for whoever computes after it
// rule: __asm__
// refused: correct/mismatch, correct/environment, authentic/environment
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    unsigned control;
    __asm__ volatile("stmxcsr %0" : "=m"(control));
    control |= 0x8040;
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
    add(a, b, out, n);
}
