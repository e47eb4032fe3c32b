// task: kernels/dot
// why: pairwise summation without recursion, by the bits of a counter
#include <stdint.h>

void kernel(const float *x, const float *y, float *out, int64_t N)
{
    float partial[64], total = 0.0f;
    int depth = 0;
    uint64_t blocks = 0;
    for (int64_t i = 0; i < N; i += 128) {
        int64_t end = i + 128 < N ? i + 128 : N;
        float s = 0.0f;
        for (int64_t j = i; j < end; j++) s += x[j] * y[j];
        partial[depth++] = s;
        for (int k = __builtin_ctzll(++blocks); k > 0; k--, depth--) partial[depth - 2] += partial[depth - 1];
    }
    while (depth > 0) total += partial[--depth];
    *out = total;
}
