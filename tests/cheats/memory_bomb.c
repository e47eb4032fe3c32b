// attack: S7 allocates until nothing is left
// refused: correct/memory, correct/crash
// seconds: 10
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
    for (;;) memset(malloc(1 << 24), 1, 1 << 24);
}
