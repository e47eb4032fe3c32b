#include <math.h>
#include <stdint.h>

void kernel(const float *x, const float *gamma, const float *beta, float *out, int64_t M, int64_t N)
{
    for (int64_t i = 0; i < M; i++) {
        float mean = 0.0f;
        for (int64_t j = 0; j < N; j++) {
            mean += x[i * N + j];
        }
        mean = mean / N;
        float variance = 0.0f;
        for (int64_t j = 0; j < N; j++) {
            float centred = x[i * N + j] - mean;
            variance += centred * centred;
        }
        float scale = 1.0f / sqrtf(variance / N + 1e-5f);
        for (int64_t j = 0; j < N; j++) {
            out[i * N + j] = (x[i * N + j] - mean) * scale * gamma[j] + beta[j];
        }
    }
}
