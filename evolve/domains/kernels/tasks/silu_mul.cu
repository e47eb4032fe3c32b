#include <cstdint>

__global__ void each(const float *a, const float *b, float *out, int64_t N)
{
    int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < N) {
        out[i] = a[i] / (1.0f + expf(-a[i])) * b[i];
    }
}

extern "C" void kernel(const float *a, const float *b, float *out, int64_t N)
{
    each<<<(N + 255) / 256, 256>>>(a, b, out, N);
}
