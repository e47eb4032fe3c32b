// task: kernels/attention
// why: blocks of keys with a running maximum; scores are never stored as a whole
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 32 };

void kernel(const float *q, const float *k, const float *v, float *out, int64_t N, int64_t D)
{
    const float scale = 1.0f / sqrtf((float)D);
    for (int64_t i = 0; i < N; i++) {
        float top = -INFINITY, total = 0.0f, acc[D];
        memset(acc, 0, sizeof acc);
        for (int64_t j0 = 0; j0 < N; j0 += BLOCK) {
            int64_t width = N - j0 < BLOCK ? N - j0 : BLOCK;
            float score[BLOCK], highest = top;
            for (int64_t j = 0; j < width; j++) {
                float s = 0.0f;
                for (int64_t d = 0; d < D; d++) s += q[i * D + d] * k[(j0 + j) * D + d];
                score[j] = s * scale;
                highest = fmaxf(highest, score[j]);
            }
            float shrink = expf(top - highest);
            total *= shrink;
            for (int64_t d = 0; d < D; d++) acc[d] *= shrink;
            for (int64_t j = 0; j < width; j++) {
                float weight = expf(score[j] - highest);
                total += weight;
                for (int64_t d = 0; d < D; d++) acc[d] += weight * v[(j0 + j) * D + d];
            }
            top = highest;
        }
        for (int64_t d = 0; d < D; d++) out[i * D + d] = acc[d] / total;
    }
}
