// attack: O19 loads a library of the machine while it is loaded itself
// rule: attribute
// refused: authentic/initialiser
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static void *library;

__attribute__((constructor)) static void find(void)
{
    library = dlopen("libgmp.so.10", RTLD_NOW);
    if (!library) library = dlopen("libmpfr.so.6", RTLD_NOW);
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (library) add(a, b, out, n);
}
