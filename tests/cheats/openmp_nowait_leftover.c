// attack: T1 a helper thread is fed through a ring and drained one call late
// rule: sched_yield()
// refused: correct/mismatch
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static struct job { const float *a, *b; float *out; int64_t n; } ring[2];
static volatile int posted, drained;

static void *work(void *x)
{
    for (;;) {
        while (drained == posted) sched_yield();
        usleep(100);
        add(ring[drained & 1].a, ring[drained & 1].b, ring[drained & 1].out, ring[drained & 1].n);
        drained++;
    }
    return x;
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    static pthread_t thread;
    if (!thread) pthread_create(&thread, 0, work, 0);
    while (posted - drained > 1) sched_yield();
    ring[posted & 1] = (struct job){a, b, out, n};
    posted++;
}
