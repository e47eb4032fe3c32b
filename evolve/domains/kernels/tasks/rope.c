#include <math.h>
#include <stdint.h>

void kernel(const float *x, const float *angle, float *out, int64_t T, int64_t H, int64_t P)
{
    for (int64_t t = 0; t < T; t++) {
        for (int64_t h = 0; h < H; h++) {
            for (int64_t p = 0; p < P; p++) {
                float even = x[((t * H + h) * P + p) * 2];
                float odd = x[((t * H + h) * P + p) * 2 + 1];
                float c = cosf(angle[t * P + p]);
                float s = sinf(angle[t * P + p]);
                out[((t * H + h) * P + p) * 2] = even * c - odd * s;
                out[((t * H + h) * P + p) * 2 + 1] = even * s + odd * c;
            }
        }
    }
}
