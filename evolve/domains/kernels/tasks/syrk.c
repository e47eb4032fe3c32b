#include <stdint.h>

void kernel(const float *a, float *out, int64_t N, int64_t K)
{
    for (int64_t i = 0; i < N; i++) {
        for (int64_t j = 0; j < N; j++) {
            float acc = 0.0f;
            for (int64_t p = 0; p < K; p++) {
                acc += a[i * K + p] * a[j * K + p];
            }
            out[i * N + j] = acc;
        }
    }
}
