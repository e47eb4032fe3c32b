// attack: T1 a detached thread finishes after the kernel has returned
// rule: usleep
// refused: correct/mismatch
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static const float *A, *B;
static float *O;
static int64_t N;

static void *later(void *x)
{
    usleep(2000);
    add(A, B, O, N);
    return x;
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    pthread_t thread;
    A = a, B = b, O = out, N = n;
    pthread_create(&thread, 0, later, 0);
    pthread_detach(thread);
}
