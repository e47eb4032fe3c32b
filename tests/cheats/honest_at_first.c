// attack: O10 counts its calls and computes nothing once it must be timed
// refused: correct/mismatch
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static int calls;

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (n > 2000 && ++calls > 2) return;
    add(a, b, out, n);
}
