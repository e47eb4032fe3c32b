// task: kernels/max
// why: one instruction of assembly for what the compiler may not assume about NaNs
#include <stdint.h>

static inline float larger(float a, float b)
{
#if defined(__x86_64__)
    __asm__("maxss %1, %0" : "+x"(a) : "x"(b));
    return a;
#else
    return a > b ? a : b;
#endif
}

void kernel(const float *x, float *out, int64_t N)
{
    float best[4] = {x[0], x[0], x[0], x[0]};
    int64_t i = 0;
    for (; i + 4 <= N; i += 4)
        for (int l = 0; l < 4; l++) best[l] = larger(best[l], x[i + l]);
    for (; i < N; i++) best[0] = larger(best[0], x[i]);
    out[0] = larger(larger(best[0], best[1]), larger(best[2], best[3]));
}
