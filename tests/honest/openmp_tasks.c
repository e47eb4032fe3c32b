// task: kernels/sum
// why: a recursive sum in OpenMP tasks
#include <stdint.h>

static float total(const float *x, int64_t n)
{
    if (n <= 4096) {
        float s[16] = {0}, sum = 0.0f;
        int64_t i = 0;
        for (; i + 16 <= n; i += 16)
            for (int l = 0; l < 16; l++) s[l] += x[i + l];
        for (; i < n; i++) sum += x[i];
        for (int l = 0; l < 16; l++) sum += s[l];
        return sum;
    }
    float left, right;
#pragma omp task shared(left) if (n > 200000)
    left = total(x, n / 2);
    right = total(x + n / 2, n - n / 2);
#pragma omp taskwait
    return left + right;
}

void kernel(const float *x, float *out, int64_t N)
{
#pragma omp parallel
#pragma omp single
    out[0] = total(x, N);
}
