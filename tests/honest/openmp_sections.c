// task: kernels/silu_mul
// why: two halves in sections
#include <math.h>
#include <stdint.h>

static void part(const float *a, const float *b, float *out, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) out[i] = a[i] / (1.0f + expf(-a[i])) * b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t N)
{
#pragma omp parallel sections
    {
#pragma omp section
        part(a, b, out, 0, N / 2);
#pragma omp section
        part(a, b, out, N / 2, N);
    }
}
