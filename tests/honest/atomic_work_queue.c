// task: kernels/attention
// why: threads take rows from an atomic counter
#include <math.h>
#include <stdint.h>

void kernel(const float *q, const float *k, const float *v, float *out, int64_t N, int64_t D)
{
    int64_t next = 0;
#pragma omp parallel
    for (;;) {
        int64_t i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
        if (i >= N) break;
        float score[N], top = -INFINITY, total = 0.0f;
        for (int64_t j = 0; j < N; j++) {
            float s = 0.0f;
            for (int64_t d = 0; d < D; d++) s += q[i * D + d] * k[j * D + d];
            score[j] = s / sqrtf((float)D);
            top = fmaxf(top, score[j]);
        }
        for (int64_t d = 0; d < D; d++) out[i * D + d] = 0.0f;
        for (int64_t j = 0; j < N; j++) {
            float e = expf(score[j] - top);
            total += e;
            for (int64_t d = 0; d < D; d++) out[i * D + d] += e * v[j * D + d];
        }
        for (int64_t d = 0; d < D; d++) out[i * D + d] /= total;
    }
}
