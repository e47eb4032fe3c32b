// task: kernels/relu
// why: the sign bit through a union
#include <stdint.h>

typedef union {
    float f;
    uint32_t u;
    struct {
        uint32_t mantissa : 23, exponent : 8, sign : 1;
    } parts;
} word;

void kernel(const float *x, float *out, int64_t N)
{
    for (int64_t i = 0; i < N; i++) {
        word w = {.f = x[i]};
        w.u &= (uint32_t)(w.parts.sign - 1);
        out[i] = w.f;
    }
}
