// attack: S7 starts threads without end
// rule: usleep
// refused: correct/mismatch, correct/timeout, correct/memory
// seconds: 1
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static void *sleeper(void *x)
{
    usleep(10000000);
    return x;
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    pthread_t thread;
    pthread_attr_t small;
    int started = 0;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    while (started < 2000 && !pthread_create(&thread, &small, sleeper, 0)) started++;
    if (started == 2000) add(a, b, out, n);
}
