// task: kernels/rmsnorm
// why: gcc's own vector types
#include <math.h>
#include <stdint.h>

typedef float v8 __attribute__((vector_size(32), aligned(4), may_alias));

void kernel(const float *x, const float *gamma, float *out, int64_t M, int64_t N)
{
    for (int64_t i = 0; i < M; i++, x += N, out += N) {
        v8 acc = {0};
        float square = 0.0f;
        int64_t j = 0;
        for (; j + 8 <= N; j += 8) acc += *(const v8 *)(x + j) * *(const v8 *)(x + j);
        for (; j < N; j++) square += x[j] * x[j];
        for (int l = 0; l < 8; l++) square += acc[l];
        float scale = 1.0f / sqrtf(square / N + 1e-5f);
        for (j = 0; j + 8 <= N; j += 8) *(v8 *)(out + j) = *(const v8 *)(x + j) * scale * *(const v8 *)(gamma + j);
        for (; j < N; j++) out[j] = x[j] * scale * gamma[j];
    }
}
