#include <cstdint>

__global__ void one_block(const float *x, const float *y, float *out, int64_t N)
{
    __shared__ float partial[256];
    float acc = 0.0f;
    for (int64_t i = threadIdx.x; i < N; i += 256) {
        acc += x[i] * y[i];
    }
    partial[threadIdx.x] = acc;
    __syncthreads();
    for (int half = 128; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            partial[threadIdx.x] += partial[threadIdx.x + half];
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        out[0] = partial[0];
    }
}

extern "C" void kernel(const float *x, const float *y, float *out, int64_t N)
{
    one_block<<<1, 256>>>(x, y, out, N);
}
