// task: kernels/softmax
// why: exp2 of fractions from a constant table, the rest by shifting the exponent
#include <math.h>
#include <stdint.h>

static const float eighth[8] = {1.0f,        1.09050773f, 1.18920712f, 1.29683955f,
                                1.41421356f, 1.54221083f, 1.68179283f, 1.83400809f};

static inline float table_exp(float x)
{
    double t = x * 1.4426950408889634 * 8.0;
    double whole = rint(t);
    int64_t n = (int64_t)whole;
    double r = (t - whole) * (0.6931471805599453 / 8.0);
    double p = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0))));
    return x < -87.0f ? expf(x) : ldexpf((float)(p * eighth[n & 7]), (int)(n >> 3));
}

void kernel(const float *x, float *out, int64_t M, int64_t N)
{
    for (int64_t i = 0; i < M; i++, x += N, out += N) {
        float top = x[0], total = 0.0f;
        for (int64_t j = 1; j < N; j++) top = x[j] > top ? x[j] : top;
        for (int64_t j = 0; j < N; j++) total += out[j] = table_exp(x[j] - top);
        for (int64_t j = 0; j < N; j++) out[j] /= total;
    }
}
