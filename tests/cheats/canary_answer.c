// attack: O16 answers with the bytes that the referee fills outputs with, hoping that NaN equals NaN
// refused: correct/mismatch
#include <stdint.h>
#include <string.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b;
    memset(out, 0xff, n * sizeof *out);
}
