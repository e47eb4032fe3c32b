#include <stdint.h>

void kernel(const float *x, float *out, int64_t N)
{
    for (int64_t i = 0; i < N; i++) {
        out[i] = x[i] > 0.0f ? x[i] : 0.0f;
    }
}
