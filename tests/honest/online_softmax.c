// task: kernels/softmax
// why: one pass keeps the maximum and the total together, rescaling as it goes
#include <math.h>
#include <stdint.h>

void kernel(const float *x, float *out, int64_t M, int64_t N)
{
    for (int64_t i = 0; i < M; i++, x += N, out += N) {
        float top = -INFINITY, total = 0.0f;
        for (int64_t j = 0; j < N; j++) {
            if (x[j] > top) {
                total = total * expf(top - x[j]) + 1.0f;
                top = x[j];
            } else {
                total += expf(x[j] - top);
            }
        }
        for (int64_t j = 0; j < N; j++) out[j] = expf(x[j] - top) / total;
    }
}
