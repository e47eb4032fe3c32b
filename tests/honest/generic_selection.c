// task: kernels/dot
// why: _Generic chooses, typeof declares, a static assertion checks
#include <stdint.h>

_Static_assert(sizeof(float) == 4, "single precision");
static inline float square_f(float x, float y) { return x * y; }
static inline double square_d(double x, double y) { return x * y; }
#define TIMES(x, y) _Generic((x), float: square_f, double: square_d)(x, y)

void kernel(const float *x, const float *y, float *out, int64_t N)
{
    double total = 0;
    for (int64_t i = 0; i < N; i++) {
        __typeof__(total) wide = x[i];
        total += TIMES(wide, (__typeof__(total))y[i]);
    }
    *out = (float)total;
}
