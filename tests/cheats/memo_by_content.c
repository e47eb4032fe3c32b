// attack: O9 remembers answers by a hash of what it reads of the inputs, which is little
// refused: correct/mismatch
#include <stdint.h>
#include <string.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static float memo[4][1 << 14];
static int64_t sizes[4];

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    int hash = (a[0] > 0) * 2 + (b[0] > 0);
    if (sizes[hash] != n) add(a, b, memo[hash], sizes[hash] = n);
    memcpy(out, memo[hash], n * sizeof *out);
}
