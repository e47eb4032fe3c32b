// attack: S7 a library of gigabytes
// refused: builds/compile_error
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

char giant[3ull << 30] = {1};

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    add(a, b, out, n);
}
