// task: kernels/saxpy
// why: the inner loop is extended inline assembly with a local label
#include <stdint.h>

void kernel(const float *alpha, const float *x, const float *y, float *out, int64_t N)
{
    int64_t i = 0;
#if defined(__AVX2__) && defined(__FMA__)
    int64_t whole = N & ~(int64_t)7;
    if (whole) {
        __asm__ volatile(
            "vbroadcastss (%[alpha]), %%ymm0\n"
            "1:\n\t"
            "vmovups (%[y],%[i],4), %%ymm1\n\t"
            "vfmadd231ps (%[x],%[i],4), %%ymm0, %%ymm1\n\t"
            "vmovups %%ymm1, (%[out],%[i],4)\n\t"
            "addq $8, %[i]\n\t"
            "cmpq %[whole], %[i]\n\t"
            "jl 1b\n\t"
            "vzeroupper"
            : [i] "+r"(i)
            : [alpha] "r"(alpha), [x] "r"(x), [y] "r"(y), [out] "r"(out), [whole] "r"(whole)
            : "xmm0", "xmm1", "cc", "memory");
    }
#endif
    for (; i < N; i++) out[i] = alpha[0] * x[i] + y[i];
}
