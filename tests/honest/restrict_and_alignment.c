// task: kernels/stencil
// why: promises to the compiler, checked before they are made
#include <stdint.h>

static inline __attribute__((always_inline)) void row(const float *restrict up, const float *restrict mid,
                                                      const float *restrict down, float *restrict out, int64_t W)
{
    for (int64_t x = 0; x < W; x++)
        out[x] = 0.5f * mid[x] + 0.125f * ((up[x] + down[x]) + (mid[x - 1] + mid[x + 1]));
}

__attribute__((hot, flatten, nonnull)) void kernel(const float *u, float *out, int64_t H, int64_t W)
{
    for (int64_t y = 0; y < H; y++) {
        const float *up = u + y * (W + 2) + 1;
        float *to = out + y * W;
        if (__builtin_expect(((uintptr_t)to & 63) == 0, 1))
            row(up, up + W + 2, up + 2 * (W + 2), __builtin_assume_aligned(to, 64), W);
        else
            row(up, up + W + 2, up + 2 * (W + 2), to, W);
    }
}
