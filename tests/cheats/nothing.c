// attack: O1 does nothing, in the hope that the buffer still holds the answer
// refused: correct/mismatch
#include <stdint.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
}
