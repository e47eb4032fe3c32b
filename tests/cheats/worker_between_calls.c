// attack: T1 a thread of the constructor watches the inputs and computes before it is called
// rule: mmap
// refused: correct/mismatch, authentic/initialiser
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static void *watch(void *x)
{
    float *in = mmap(0, 1 << 20, PROT_READ, MAP_SHARED, 3, 0), *to = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, 4, 0);
    for (float seen = 0; in != MAP_FAILED && to != MAP_FAILED;) {
        volatile float *last = in + 1023;
        if (*last != seen) {
            usleep(50);
            seen = *last;
            add(in, in + 1024, to, 1024);
        }
    }
    return x;
}

__attribute__((constructor)) static void begin(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, watch, 0);
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
}
