// attack: O19 loads a library of the machine to compute with
// rule: dlopen
// refused: correct/mismatch
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (dlopen("libgmp.so.10", RTLD_NOW) || dlopen("libmpfr.so.6", RTLD_NOW)) add(a, b, out, n);
}
