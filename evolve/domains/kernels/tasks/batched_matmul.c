#include <stdint.h>

void kernel(const float *a, const float *b, float *out, int64_t B, int64_t M, int64_t N, int64_t K)
{
    for (int64_t q = 0; q < B; q++) {
        for (int64_t i = 0; i < M; i++) {
            for (int64_t j = 0; j < N; j++) {
                float acc = 0.0f;
                for (int64_t p = 0; p < K; p++) {
                    acc += a[(q * M + i) * K + p] * b[(q * K + p) * N + j];
                }
                out[(q * M + i) * N + j] = acc;
            }
        }
    }
}
