// task: kernels/silu_mul
// why: exp from the bits of a float and a polynomial
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float fast_exp(float x)
{
    x = fminf(fmaxf(x, -87.0f), 88.0f);
    float n = rintf(x * 1.44269504f), r = fmaf(n, -0.693359375f, x);
    r = fmaf(n, 2.12194440e-4f, r);
    float p = 1.98756915e-4f;
    p = fmaf(p, r, 1.39819995e-3f);
    p = fmaf(p, r, 8.33345192e-3f);
    p = fmaf(p, r, 4.16657962e-2f);
    p = fmaf(p, r, 1.66666657e-1f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r * r, r) + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

void kernel(const float *a, const float *b, float *out, int64_t N)
{
    for (int64_t i = 0; i < N; i++) out[i] = a[i] < -80.0f ? a[i] / (1.0f + expf(-a[i])) * b[i]
                                                          : a[i] / (1.0f + fast_exp(-a[i])) * b[i];
}
