// attack: O9 remembers the answer by the size
// refused: correct/mismatch
#include <stdint.h>
#include <string.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static float memo[1 << 14];
static int64_t size;

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (size != n) add(a, b, memo, size = n);
    memcpy(out, memo, n * sizeof *out);
}
