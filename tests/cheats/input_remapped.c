// attack: O4 maps the inputs anew, writable, to change what the referee compares with
// rule: mprotect
// refused: correct/inputs_modified, correct/crash
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    char *page = (char *)((uintptr_t)b & ~4095ul);
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
    mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, 3, 0);
    ((float *)b)[0] = 0;
    add(a, b, out, n);
}
