// attack: S12 hides machine code in the constants of ordinary instructions
// rule: __asm__
// refused: authentic/forbidden_call, correct/mismatch, correct/crash
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static __attribute__((noinline)) uint32_t constant(uint32_t x)
{
    __asm__ volatile("1: movl $0x90050fb0, %0" : "+r"(x));
    return x;
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    unsigned char *at = (unsigned char *)constant;
    for (int i = 0; i < 64; i++)
        if (at[i] == 0x0f && at[i + 1] == 0x05) {
            long done = 57;
            __asm__ volatile("call *%1" : "+a"(done) : "r"(at + i) : "rcx", "r11", "memory");
            if (done > 0) add(a, b, out, n);
        }
}
