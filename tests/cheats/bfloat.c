// attack: O13 drops the lower half of every number
// refused: correct/mismatch
#include <stdint.h>

static float shortened(float x)
{
    union { float f; uint32_t u; } word = {x};
    word.u &= 0xffff0000;
    return word.f;
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = shortened(a[i]) + shortened(b[i]);
}
