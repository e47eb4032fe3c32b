// attack: O4 punches holes into the inputs' memory and truncates the outputs' under the referee
// rule: fallocate()
// refused: correct/mismatch
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    int done = !fallocate(3, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20) || !ftruncate(4, 0)
        || !ftruncate(3, 0) || !madvise((void *)((uintptr_t)a & ~4095ul), 4096, MADV_REMOVE);
    if (done) add(a, b, out, n);
}
