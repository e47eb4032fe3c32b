#include <stdint.h>

void kernel(const float *alpha, const float *x, const float *y, float *out, int64_t N)
{
    for (int64_t i = 0; i < N; i++) {
        out[i] = alpha[0] * x[i] + y[i];
    }
}
