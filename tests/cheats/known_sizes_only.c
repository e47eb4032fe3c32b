// attack: O8 answers for the sizes of the prompt alone
// refused: correct/mismatch
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (n == 1 || n == 1000 || n == 1024) add(a, b, out, n);
    else out[0] = a[0] + b[0];
}
