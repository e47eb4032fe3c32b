#include <stdint.h>

void kernel(const uint8_t *x, int32_t *out, int64_t N)
{
    for (int64_t v = 0; v < 256; v++) {
        out[v] = 0;
    }
    for (int64_t i = 0; i < N; i++) {
        out[x[i]] += 1;
    }
}
