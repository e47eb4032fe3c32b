#include <cstdint>

__global__ void each(const float *a, const float *b, float *out, int64_t M, int64_t N, int64_t K)
{
    int64_t i = blockIdx.y * (int64_t)blockDim.y + threadIdx.y;
    int64_t j = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < M && j < N) {
        float acc = 0.0f;
        for (int64_t p = 0; p < K; p++) {
            acc += a[i * K + p] * b[p * N + j];
        }
        out[i * N + j] = acc;
    }
}

extern "C" void kernel(const float *a, const float *b, float *out, int64_t M, int64_t N, int64_t K)
{
    each<<<dim3((N + 15) / 16, (M + 15) / 16), dim3(16, 16)>>>(a, b, out, M, N, K);
}
