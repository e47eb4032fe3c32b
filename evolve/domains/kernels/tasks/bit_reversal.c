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
            out[b * n + reversed] = x[b * n + i];
        }
    }
}
