// task: kernels/sum
// why: a compensated sum
#include <stdint.h>

void kernel(const float *x, float *out, int64_t N)
{
    float sum[4] = {0}, lost[4] = {0};
    for (int64_t i = 0; i < N; i++) {
        float y = x[i] - lost[i & 3], t = sum[i & 3] + y;
        lost[i & 3] = (t - sum[i & 3]) - y;
        sum[i & 3] = t;
    }
    *out = (sum[0] + sum[1]) + (sum[2] + sum[3]);
}
