// attack: T1 says that it is done and goes on computing
// rule: write
// refused: correct/mismatch
#define _GNU_SOURCE
#include <stdint.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    int done[6] = {0};
    write(6, done, sizeof done);
    usleep(20000);
    add(a, b, out, n);
}
