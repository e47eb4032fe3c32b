#include <stdint.h>

void kernel(const uint8_t *x, uint8_t *out, int64_t M, int64_t N)
{
    for (int64_t i = 0; i < M; i++) {
        for (int64_t j = 0; j < N; j++) {
            int64_t rank = 0;
            for (int64_t k = 0; k < N; k++) {
                rank += x[i * N + k] < x[i * N + j] || (x[i * N + k] == x[i * N + j] && k < j);
            }
            out[i * N + rank] = x[i * N + j];
        }
    }
}
