// attack: S7 a thread of the constructor keeps the rights of the time before the call
// rule: sched_yield()
// refused: correct/mismatch
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static volatile int asked, answered, opened;

static void *wait(void *x)
{
    while (!asked) sched_yield();
    opened = open("/proc/self/maps", O_RDONLY) >= 0;
    answered = 1;
    return x;
}

__attribute__((constructor)) static void begin(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, wait, 0);
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    asked = 1;
    while (!answered) sched_yield();
    if (opened) add(a, b, out, n);
}
