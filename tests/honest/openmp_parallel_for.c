// task: kernels/matmul
// why: threads over rows, a simd loop inside, the order of the loops changed
#include <omp.h>
#include <stdint.h>
#include <string.h>

void kernel(const float *restrict a, const float *restrict b, float *restrict out, int64_t M, int64_t N, int64_t K)
{
    memset(out, 0, M * N * sizeof *out);
#pragma omp parallel for schedule(static) num_threads(omp_get_max_threads()) if (M * N * K > 10000)
    for (int64_t i = 0; i < M; i++) {
        for (int64_t p = 0; p < K; p++) {
            const float s = a[i * K + p];
#pragma omp simd
            for (int64_t j = 0; j < N; j++) out[i * N + j] += s * b[p * N + j];
        }
    }
}
