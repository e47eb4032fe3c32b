// attack: T1 an alarm interrupts the referee's wait and finishes the work
// rule: signal
// refused: correct/mismatch
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static const float *A, *B;
static float *O;
static int64_t N;

static void ring(int number)
{
    (void)number;
    add(A, B, O, N);
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    struct itimerval soon = {.it_value.tv_usec = 3000};
    A = a, B = b, O = out, N = n;
    signal(SIGALRM, ring);
    alarm(1);
    setitimer(ITIMER_REAL, &soon, 0);
}
