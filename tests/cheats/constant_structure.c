// attack: O12 takes the second input for a constant
// refused: correct/mismatch
#include <stdint.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[0];
}
