#include <stdint.h>

void kernel(const float *table, const int32_t *index, float *out, int64_t N, int64_t T)
{
    for (int64_t i = 0; i < N; i++) {
        out[i] = table[index[i]];
    }
}
