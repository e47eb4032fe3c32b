#include <cstdint>

__global__ void each_row(const float *x, const float *gamma, float *out, int64_t M, int64_t N)
{
    int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= M) {
        return;
    }
    float squares = 0.0f;
    for (int64_t j = 0; j < N; j++) {
        squares += x[i * N + j] * x[i * N + j];
    }
    float scale = 1.0f / sqrtf(squares / N + 1e-5f);
    for (int64_t j = 0; j < N; j++) {
        out[i * N + j] = x[i * N + j] * scale * gamma[j];
    }
}

extern "C" void kernel(const float *x, const float *gamma, float *out, int64_t M, int64_t N)
{
    each_row<<<(M + 63) / 64, 64>>>(x, gamma, out, M, N);
}
