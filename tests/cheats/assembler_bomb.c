// attack: S7 an assembler loop that never ends within any memory
// rule: __asm__
// refused: builds/compile_error, builds/compile_timeout
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

__asm__(".data\n.fill 0x7fffffff, 8, 1\n.fill 0x7fffffff, 8, 1\n.text");

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    add(a, b, out, n);
}
