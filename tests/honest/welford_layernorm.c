// task: kernels/layernorm
// why: mean and variance in one pass, merged from lanes
#include <math.h>
#include <stdint.h>

void kernel(const float *x, const float *gamma, const float *beta, float *out, int64_t M, int64_t N)
{
    for (int64_t i = 0; i < M; i++, x += N, out += N) {
        double mean = 0.0, m2 = 0.0;
        for (int64_t j = 0; j < N; j++) {
            double delta = x[j] - mean;
            mean += delta / (double)(j + 1);
            m2 += delta * (x[j] - mean);
        }
        float scale = (float)(1.0 / sqrt(m2 / N + 1e-5)), centre = (float)mean;
        for (int64_t j = 0; j < N; j++) out[j] = (float)((x[j] - mean) * scale) * gamma[j] + beta[j];
        (void)centre;
    }
}
