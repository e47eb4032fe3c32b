// attack: O14 adds scratch memory that it never filled
// rule: rand()
// refused: correct/mismatch
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    float *scratch = malloc((n + 1024) * sizeof *scratch);
    memset(scratch, rand() | 1, 64);
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i] + scratch[i & 7];
    free(scratch);
}
