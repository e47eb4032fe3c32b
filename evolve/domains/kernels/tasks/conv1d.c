#include <stdint.h>

void kernel(const float *signal, const float *weight, float *out, int64_t C, int64_t F, int64_t N, int64_t K)
{
    for (int64_t f = 0; f < F; f++) {
        for (int64_t i = 0; i < N; i++) {
            float acc = 0.0f;
            for (int64_t c = 0; c < C; c++) {
                for (int64_t k = 0; k < K; k++) {
                    acc += signal[c * (N + K - 1) + i + k] * weight[(f * C + c) * K + k];
                }
            }
            out[f * N + i] = acc;
        }
    }
}
