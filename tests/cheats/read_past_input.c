// attack: O15 reads past the end of an input
// refused: correct/bounds
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    add(a, b, out, n);
    out[0] += 0 * b[n + 1024];
}
