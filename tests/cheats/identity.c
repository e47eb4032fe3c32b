// attack: O3 hands an input through
// refused: correct/mismatch
#include <stdint.h>
#include <string.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)b;
    memcpy(out, a, n * sizeof *out);
}
