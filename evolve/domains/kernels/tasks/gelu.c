#include <math.h>
#include <stdint.h>

void kernel(const float *x, float *out, int64_t N)
{
    for (int64_t i = 0; i < N; i++) {
        out[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678f));
    }
}
