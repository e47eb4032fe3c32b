// attack: O5 returns the answer of the call before
// refused: correct/mismatch
#include <stdint.h>
#include <string.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static float kept[1 << 14];

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    memcpy(out, kept, n * sizeof *out);
    add(a, b, kept, n);
}
