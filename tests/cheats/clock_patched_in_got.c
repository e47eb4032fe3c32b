// attack: T3 exports clocks, waits and read of its own, which stand still, and takes all day
// rule: clock_gettime
// refused: correct/timeout
// seconds: 0.4
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){0};
    return 0;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    *now = (struct timeval){0};
    return 0;
}
uint64_t omp_get_wtime(void) { return 0; }

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    for (volatile int64_t forever = 0;; forever++) add(a, b, out, n);
}
