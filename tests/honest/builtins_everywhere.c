// task: kernels/gelu
// why: as many builtins as fit, and a target_clones attribute would be next
#include <stdint.h>
#include <math.h>

void kernel(const float *x, float *out, int64_t N)
{
    if (__builtin_expect(N < 1, 0)) __builtin_unreachable();
    int shift = __builtin_ctzll(~0ull << 3), bits = __builtin_popcount(7u) + __builtin_clz(1u << 31);
    int64_t step = (int64_t)1 << shift;
    for (int64_t i = 0; i < N; i += step) {
        __builtin_prefetch(x + i + 64, 0, bits);
        int64_t end = i + step < N ? i + step : N, sum;
        if (__builtin_add_overflow(i, step, &sum)) return;
        for (int64_t j = i; j < end; j++)
            out[j] = __builtin_copysignf(0.5f, 1.0f) * x[j] * erfcf(-x[j] * 0.70710678f);
    }
}
