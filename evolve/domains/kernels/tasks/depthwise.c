#include <stdint.h>

void kernel(const float *image, const float *weight, float *out, int64_t C, int64_t H, int64_t W)
{
    for (int64_t c = 0; c < C; c++) {
        for (int64_t y = 0; y < H; y++) {
            for (int64_t x = 0; x < W; x++) {
                float acc = 0.0f;
                for (int64_t r = 0; r < 3; r++) {
                    for (int64_t s = 0; s < 3; s++) {
                        acc += image[(c * (H + 2) + y + r) * (W + 2) + x + s] * weight[(c * 3 + r) * 3 + s];
                    }
                }
                out[(c * H + y) * W + x] = acc;
            }
        }
    }
}
