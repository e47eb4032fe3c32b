#include <stdint.h>

void kernel(const float *a, float *out, int64_t M, int64_t N)
{
    for (int64_t i = 0; i < M; i++) {
        for (int64_t j = 0; j < N; j++) {
            out[j * M + i] = a[i * N + j];
        }
    }
}
