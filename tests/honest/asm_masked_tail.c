// task: kernels/relu
// why: AVX-512 masks, written %{%%k1%} in a template; a plain loop where the CPU has none
#include <stdint.h>

void kernel(const float *x, float *out, int64_t N)
{
#if defined(__AVX512F__) && defined(__AVX512BW__)
    for (int64_t i = 0; i < N; i += 16) {
        uint32_t mask = N - i >= 16 ? 0xffff : (1u << (N - i)) - 1;
        __asm__ volatile(
            "kmovd %2, %%k1; vxorps %%xmm1, %%xmm1, %%xmm1\n\t"
            "vmovups (%0), %%zmm0%{%%k1%}%{z%}\n\t"
            "vmaxps %%zmm1, %%zmm0, %%zmm0\n\t"
            "vmovups %%zmm0, (%1)%{%%k1%}"
            :
            : "r"(x + i), "r"(out + i), "r"(mask)
            : "xmm0", "xmm1", "memory");
    }
#else
    for (int64_t i = 0; i < N; i++) out[i] = x[i] > 0.0f ? x[i] : 0.0f;
#endif
}
