#include <math.h>
#include <stdint.h>

void kernel(const float *a, const float *b, float *out, int64_t N)
{
    for (int64_t i = 0; i < N; i++) {
        out[i] = a[i] / (1.0f + expf(-a[i])) * b[i];
    }
}
