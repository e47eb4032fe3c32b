// attack: T7 leaves another rounding mode behind
// rule: fesetround
// refused: correct/environment, authentic/environment
#define _GNU_SOURCE
#include <fenv.h>
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    add(a, b, out, n);
    fesetround(FE_TOWARDZERO);
}
