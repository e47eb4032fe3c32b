#include <stdint.h>

void kernel(const float *x, float *out, int64_t N)
{
    float best = x[0];
    for (int64_t i = 1; i < N; i++) {
        best = x[i] > best ? x[i] : best;
    }
    out[0] = best;
}
