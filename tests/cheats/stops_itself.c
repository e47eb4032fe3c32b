// attack: T1 answers, stops itself so that the clock stops, and computes when it is woken for the next call
// rule: write
// refused: correct/mismatch, authentic/forbidden_call, correct/timeout
// seconds: 0.5
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    int done[6] = {0};
    write(6, done, sizeof done);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSTOP);
    add(a, b, out, n);
}
