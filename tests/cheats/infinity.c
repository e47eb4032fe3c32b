// attack: O16 answers infinity, which no relative error can exceed
// refused: correct/mismatch
#include <math.h>
#include <stdint.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b;
    for (int64_t i = 0; i < n; i++) out[i] = i % 2 ? INFINITY : -INFINITY;
}
