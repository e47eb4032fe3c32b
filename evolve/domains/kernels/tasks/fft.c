#include <math.h>
#include <stdint.h>

void kernel(const float *x, float *out, int64_t B, int64_t L)
{
    int64_t n = (int64_t)1 << L;
    for (int64_t b = 0; b < B; b++) {
        for (int64_t i = 0; i < n; i++) {
            int64_t reversed = 0;
            for (int64_t bit = 0; bit < L; bit++) {
                reversed = reversed * 2 + (i >> bit & 1);
            }
            out[(b * n + reversed) * 2] = x[(b * n + i) * 2];
            out[(b * n + reversed) * 2 + 1] = x[(b * n + i) * 2 + 1];
        }
        for (int64_t half = 1; half < n; half *= 2) {
            for (int64_t block = 0; block < n / (2 * half); block++) {
                for (int64_t k = 0; k < half; k++) {
                    int64_t low = (b * n + block * 2 * half + k) * 2;
                    int64_t high = low + 2 * half;
                    float angle = -3.14159265f * k / half;
                    float c = cosf(angle);
                    float s = sinf(angle);
                    float re = out[high] * c - out[high + 1] * s;
                    float im = out[high] * s + out[high + 1] * c;
                    out[high] = out[low] - re;
                    out[high + 1] = out[low + 1] - im;
                    out[low] += re;
                    out[low + 1] += im;
                }
            }
        }
    }
}
