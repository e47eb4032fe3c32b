// attack: O13 computes in half precision
// refused: correct/mismatch
#include <stdint.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = (float)((_Float16)a[i] + (_Float16)b[i]);
}
