#include <cstdint>

__global__ void each(const float *a, float *out, int64_t M, int64_t N)
{
    int64_t i = blockIdx.y * (int64_t)blockDim.y + threadIdx.y;
    int64_t j = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < M && j < N) {
        out[j * M + i] = a[i * N + j];
    }
}

extern "C" void kernel(const float *a, float *out, int64_t M, int64_t N)
{
    each<<<dim3((N + 15) / 16, (M + 15) / 16), dim3(16, 16)>>>(a, out, M, N);
}
