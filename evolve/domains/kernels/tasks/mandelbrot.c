#include <stdint.h>

void kernel(const int32_t *re, const int32_t *im, int32_t *out, int64_t N, int64_t T)
{
    for (int64_t i = 0; i < N; i++) {
        int32_t x = 0, y = 0;
        int64_t steps = 0;
        while (steps < T && x * x + y * y <= 4 << 24) {
            int32_t next = ((x * x - y * y) >> 12) + re[i];
            y = ((x * y) >> 11) + im[i];
            x = next;
            steps++;
        }
        out[i] = steps;
    }
}
