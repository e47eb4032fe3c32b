// attack: O2 the mean everywhere
// refused: correct/mismatch
#include <stdint.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++) total += (double)a[i] + b[i];
    for (int64_t i = 0; i < n; i++) out[i] = (float)(total / (n + 1));
}
