// attack: T1 a thread continues the process whenever the referee stops it
// rule: getpid()
// refused: correct/mismatch, correct/timeout, authentic/forbidden_call
// seconds: 0.5
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static const float *A, *B;
static float *O;
static int64_t N;

static void *wake(void *x)
{
    for (;;) {
        syscall(SYS_tgkill, getpid(), getpid(), SIGCONT);
        if (O) add(A, B, O, N);
    }
    return x;
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    static pthread_t thread;
    A = a, B = b, O = out, N = n;
    if (!thread) pthread_create(&thread, 0, wake, 0);
}
