// attack: O8 forgets the remainder of a size that is no multiple of eight
// refused: correct/mismatch
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    add(a, b, out, n & ~(int64_t)7);
}
