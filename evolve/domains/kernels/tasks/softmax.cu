#include <cstdint>

__global__ void each_row(const float *x, float *out, int64_t M, int64_t N)
{
    int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= M) {
        return;
    }
    float largest = x[i * N];
    for (int64_t j = 1; j < N; j++) {
        largest = fmaxf(largest, x[i * N + j]);
    }
    float total = 0.0f;
    for (int64_t j = 0; j < N; j++) {
        out[i * N + j] = expf(x[i * N + j] - largest);
        total += out[i * N + j];
    }
    for (int64_t j = 0; j < N; j++) {
        out[i * N + j] = out[i * N + j] / total;
    }
}

extern "C" void kernel(const float *x, float *out, int64_t M, int64_t N)
{
    each_row<<<(M + 63) / 64, 64>>>(x, out, M, N);
}
