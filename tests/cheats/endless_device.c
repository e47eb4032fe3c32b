// attack: S7 includes a device that never ends
// rule: #include
// refused: builds/compile_error, builds/compile_timeout
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

#include "/dev/zero"

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    add(a, b, out, n);
}
