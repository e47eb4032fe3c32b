// attack: T10 writes a page and has the rest of the output appear by mapping it again and again
// rule: mmap
// refused: correct/mismatch
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    int64_t bytes = (n * 4 + 4095) & ~4095ll;
    add(a, b, out, n < 1024 ? n : 1024);
    char *page = (char *)((uintptr_t)out & ~4095ul);
    for (int64_t at = 4096; at < bytes; at += 4096)
        mmap(page + at, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, 4, 0);
}
