// attack: S7 overflows its stack
// refused: correct/crash
// seconds: 5
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static int64_t deeper(int64_t n, volatile char *above)
{
    volatile char here[4096];
    here[0] = *above;
    return deeper(n + 1, here) + here[n % 4096];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    add(a, b, out, n);
    out[0] = (float)deeper(n, (volatile char *)a);
}
