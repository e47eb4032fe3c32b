#include <cstdint>

__global__ void each(const float *x, float *out, int64_t N)
{
    int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < N) {
        out[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678f));
    }
}

extern "C" void kernel(const float *x, float *out, int64_t N)
{
    each<<<(N + 255) / 256, 256>>>(x, out, N);
}
