#include <stdint.h>

void kernel(const int64_t *start, const int32_t *column, const float *value, const float *x, float *out,
            int64_t M, int64_t N, int64_t Z)
{
    for (int64_t i = 0; i < M; i++) {
        float acc = 0.0f;
        for (int64_t e = start[i]; e < start[i + 1]; e++) {
            acc += value[e] * x[column[e]];
        }
        out[i] = acc;
    }
}
