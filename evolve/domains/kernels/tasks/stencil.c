#include <stdint.h>

void kernel(const float *u, float *out, int64_t H, int64_t W)
{
    for (int64_t y = 0; y < H; y++) {
        for (int64_t x = 0; x < W; x++) {
            out[y * W + x] = 0.5f * u[(y + 1) * (W + 2) + x + 1]
                + 0.125f * (u[y * (W + 2) + x + 1] + u[(y + 2) * (W + 2) + x + 1]
                    + u[(y + 1) * (W + 2) + x] + u[(y + 1) * (W + 2) + x + 2]);
        }
    }
}
