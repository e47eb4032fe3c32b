#include <stdint.h>

void kernel(const float *x, float *out, int64_t N)
{
    float acc = 0.0f;
    for (int64_t i = 0; i < N; i++) {
        acc += x[i];
        out[i] = acc;
    }
}
