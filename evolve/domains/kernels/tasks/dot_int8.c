#include <stdint.h>

void kernel(const int8_t *x, const int8_t *y, int32_t *out, int64_t N)
{
    int32_t acc = 0;
    for (int64_t i = 0; i < N; i++) {
        acc += x[i] * y[i];
    }
    out[0] = acc;
}
