// task: kernels/stencil
// why: collapse, an atomic counter of rows, a reduction nobody needs
#include <stdint.h>

void kernel(const float *u, float *out, int64_t H, int64_t W)
{
    int64_t done = 0, strips = (W + 255) / 256;
#pragma omp parallel for collapse(2) schedule(guided) reduction(+ : done)
    for (int64_t y = 0; y < H; y++) {
        for (int64_t s = 0; s < strips; s++) {
            int64_t end = (s + 1) * 256 < W ? (s + 1) * 256 : W;
            const float *up = u + y * (W + 2) + 1, *mid = up + W + 2, *down = mid + W + 2;
            for (int64_t x = s * 256; x < end; x++, done++)
                out[y * W + x] = 0.5f * mid[x] + 0.125f * ((up[x] + down[x]) + (mid[x - 1] + mid[x + 1]));
        }
    }
    if (done != H * W) out[0] = -1.0f;
}
