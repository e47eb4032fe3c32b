#include <math.h>
#include <stdint.h>

void kernel(const float *x, const int32_t *label, float *out, int64_t M, int64_t N)
{
    for (int64_t i = 0; i < M; i++) {
        float largest = x[i * N];
        for (int64_t j = 1; j < N; j++) {
            largest = fmaxf(largest, x[i * N + j]);
        }
        float total = 0.0f;
        for (int64_t j = 0; j < N; j++) {
            total += expf(x[i * N + j] - largest);
        }
        out[i] = logf(total) + largest - x[i * N + label[i]];
    }
}
