#include <math.h>
#include <stdint.h>

void kernel(const float *q, const float *k, const float *v, float *out, int64_t N, int64_t D)
{
    float scale = 1.0f / sqrtf((float)D);
    for (int64_t i = 0; i < N; i++) {
        float score[N];
        float largest = -INFINITY;
        for (int64_t j = 0; j < N; j++) {
            float acc = 0.0f;
            for (int64_t d = 0; d < D; d++) {
                acc += q[i * D + d] * k[j * D + d];
            }
            score[j] = acc * scale;
            largest = fmaxf(largest, score[j]);
        }
        float total = 0.0f;
        for (int64_t j = 0; j < N; j++) {
            score[j] = expf(score[j] - largest);
            total += score[j];
        }
        for (int64_t d = 0; d < D; d++) {
            float acc = 0.0f;
            for (int64_t j = 0; j < N; j++) {
                acc += score[j] * v[j * D + d];
            }
            out[i * D + d] = acc / total;
        }
    }
}
