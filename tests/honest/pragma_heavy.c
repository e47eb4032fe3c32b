// task: kernels/rmsnorm
// why: more pragmas than code
#include <math.h>
#include <stdint.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma STDC FP_CONTRACT ON
#define EACH _Pragma("omp simd")

void kernel(const float *restrict x, const float *restrict gamma, float *restrict out, int64_t M, int64_t N)
{
#pragma omp parallel
    {
#pragma omp for nowait schedule(static)
        for (int64_t i = 0; i < M; i++) {
            float square = 0.0f;
#pragma omp simd reduction(+ : square)
            for (int64_t j = 0; j < N; j++) square += x[i * N + j] * x[i * N + j];
            float scale = 1.0f / sqrtf(square / N + 1e-5f);
#pragma GCC ivdep
#pragma GCC unroll 4
            for (int64_t j = 0; j < N / 2; j++) out[i * N + j] = x[i * N + j] * scale * gamma[j];
            EACH
            for (int64_t j = N / 2; j < N; j++) out[i * N + j] = x[i * N + j] * scale * gamma[j];
        }
    }
}
#pragma GCC diagnostic pop
