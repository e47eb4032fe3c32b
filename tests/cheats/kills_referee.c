// attack: S4 kills the referee
// rule: getppid()
// refused: authentic/forbidden_call
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (kill(getppid(), SIGKILL) != -1) add(a, b, out, n);
}
