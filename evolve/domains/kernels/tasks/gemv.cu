#include <cstdint>

__global__ void each_row(const float *a, const float *x, float *out, int64_t M, int64_t K)
{
    int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < M) {
        float acc = 0.0f;
        for (int64_t p = 0; p < K; p++) {
            acc += a[i * K + p] * x[p];
        }
        out[i] = acc;
    }
}

extern "C" void kernel(const float *a, const float *x, float *out, int64_t M, int64_t K)
{
    each_row<<<(M + 63) / 64, 64>>>(a, x, out, M, K);
}
