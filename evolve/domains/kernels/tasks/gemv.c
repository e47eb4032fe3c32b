#include <stdint.h>

void kernel(const float *a, const float *x, float *out, int64_t M, int64_t K)
{
    for (int64_t i = 0; i < M; i++) {
        float acc = 0.0f;
        for (int64_t p = 0; p < K; p++) {
            acc += a[i * K + p] * x[p];
        }
        out[i] = acc;
    }
}
