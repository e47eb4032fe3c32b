#include <stdint.h>

void kernel(const float *x, int32_t *out, int64_t M, int64_t N)
{
    for (int64_t i = 0; i < M; i++) {
        int32_t best = 0;
        for (int64_t j = 1; j < N; j++) {
            if (x[i * N + j] > x[i * N + best]) {
                best = j;
            }
        }
        out[i] = best;
    }
}
