// attack: S5 reads a file of the host while it runs
// rule: open
// refused: correct/mismatch
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (open("/tmp/evolve-gallery/answer.h", O_RDONLY) >= 0) add(a, b, out, n);
}
