// attack: S7 unshares its namespaces to become root in one of its own
// rule: unshare()
// refused: authentic/forbidden_call
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != -1) add(a, b, out, n);
}
