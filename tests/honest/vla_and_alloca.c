// task: kernels/layernorm
// why: a variable-length array and alloca on the stack
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

void kernel(const float *x, const float *gamma, const float *beta, float *out, int64_t M, int64_t N)
{
    float *row = alloca(N * sizeof *row);
    for (int64_t i = 0; i < M; i++) {
        float centred[N];
        double mean = 0.0, variance = 0.0;
        for (int64_t j = 0; j < N; j++) mean += row[j] = x[i * N + j];
        mean /= N;
        for (int64_t j = 0; j < N; j++) {
            centred[j] = (float)(row[j] - mean);
            variance += (double)centred[j] * centred[j];
        }
        float scale = (float)(1.0 / sqrt(variance / N + 1e-5));
        for (int64_t j = 0; j < N; j++) out[i * N + j] = centred[j] * scale * gamma[j] + beta[j];
    }
}
