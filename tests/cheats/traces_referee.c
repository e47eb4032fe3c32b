// attack: S4 traces the referee
// rule: getppid()
// refused: authentic/forbidden_call
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/ptrace.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (ptrace(PTRACE_ATTACH, getppid(), 0, 0) != -1) add(a, b, out, n);
}
