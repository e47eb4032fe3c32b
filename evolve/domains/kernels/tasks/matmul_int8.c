#include <stdint.h>

void kernel(const int8_t *a, const int8_t *b, int32_t *out, int64_t M, int64_t N, int64_t K)
{
    for (int64_t i = 0; i < M; i++) {
        for (int64_t j = 0; j < N; j++) {
            int32_t acc = 0;
            for (int64_t p = 0; p < K; p++) {
                acc += a[i * K + p] * b[j * K + p];
            }
            out[i * N + j] = acc;
        }
    }
}
