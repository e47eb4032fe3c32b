// attack: S7 never returns
// refused: correct/timeout
// seconds: 0.3
#include <stdint.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
    for (volatile int on = 1; on;) {}
}
