// attack: O2 zeros
// refused: correct/mismatch
#include <stdint.h>
#include <string.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b;
    memset(out, 0, n * sizeof *out);
}
