// flags: -ffast-math -funroll-loops
// task: kernels/sum
// why: a declared flag lets the compiler reorder the sum
#include <stdint.h>

void kernel(const float *x, float *out, int64_t N)
{
    float total = 0.0f;
    for (int64_t i = 0; i < N; i++) total += x[i];
    *out = total;
}
