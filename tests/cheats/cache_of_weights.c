// attack: O20 keeps an input of the first call for all later ones
// refused: correct/mismatch
#include <stdint.h>
#include <string.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static float weights[1 << 14];
static int64_t kept;

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (kept < n) memcpy(weights, b, n * sizeof *b), kept = n;
    add(a, weights, out, n);
}
