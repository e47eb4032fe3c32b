#include <math.h>
#include <stdint.h>

void kernel(const float *x, const float *weight, const float *bias, float *out, int64_t M, int64_t N, int64_t K)
{
    for (int64_t i = 0; i < M; i++) {
        for (int64_t j = 0; j < N; j++) {
            float y = bias[j];
            for (int64_t p = 0; p < K; p++) {
                y += x[i * K + p] * weight[p * N + j];
            }
            out[i * N + j] = 0.5f * y * (1.0f + tanhf(0.7978845608f * (y + 0.044715f * y * y * y)));
        }
    }
}
