#include <cmath>
#include <cstdint>

__device__ float score(const float *q, const float *k, int64_t D)
{
    float acc = 0.0f;
    for (int64_t d = 0; d < D; d++) {
        acc += q[d] * k[d];
    }
    return acc / sqrtf((float)D);
}

__global__ void each(const float *q, const float *k, const float *v, float *out, int64_t N, int64_t D)
{
    int64_t i = blockIdx.x;
    float largest = -INFINITY;
    for (int64_t j = 0; j < N; j++) {
        largest = fmaxf(largest, score(q + i * D, k + j * D, D));
    }
    for (int64_t d = threadIdx.x; d < D; d += blockDim.x) {
        float total = 0.0f;
        float acc = 0.0f;
        for (int64_t j = 0; j < N; j++) {
            float weight = expf(score(q + i * D, k + j * D, D) - largest);
            total += weight;
            acc += weight * v[j * D + d];
        }
        out[i * D + d] = acc / total;
    }
}

extern "C" void kernel(const float *q, const float *k, const float *v, float *out, int64_t N, int64_t D)
{
    each<<<N, 64>>>(q, k, v, out, N, D);
}
