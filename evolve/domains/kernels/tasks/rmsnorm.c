#include <math.h>
#include <stdint.h>

void kernel(const float *x, const float *gamma, float *out, int64_t M, int64_t N)
{
    for (int64_t i = 0; i < M; i++) {
        float square = 0.0f;
        for (int64_t j = 0; j < N; j++) {
            square += x[i * N + j] * x[i * N + j];
        }
        float scale = 1.0f / sqrtf(square / N + 1e-5f);
        for (int64_t j = 0; j < N; j++) {
            out[i * N + j] = x[i * N + j] * scale * gamma[j];
        }
    }
}
