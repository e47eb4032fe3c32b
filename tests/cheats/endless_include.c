// attack: S7 a file that includes itself
// rule: #include
// refused: builds/compile_error
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

#include __FILE__
#include __FILE__

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    add(a, b, out, n);
}
