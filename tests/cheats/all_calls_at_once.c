// attack: O11 computes the answers of calls that are still to come, at once
// rule: syscall
// refused: correct/mismatch
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static int unmapped(const float *buffer)
{
    return syscall(SYS_rt_sigprocmask, 99, buffer, 0, 8) && errno == EFAULT;
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    static const float *last;
    static int64_t ready;
    int64_t apart = (char *)a - (char *)out;
    if (ready > 0 && last != a) {
        ready--;
        last = a;
        return;
    }
    last = a;
    ready = 0;
    add(a, b, out, n);
    for (const float *x = a; n > 2000 && ready < 15; ready++) {
        x = (const float *)((const char *)x - apart / 2 * 3);
        float *to = (float *)((char *)x - apart);
        if (unmapped(x) || unmapped(to)) break;
        add(x, (const float *)((const char *)x - apart / 2), to, n);
    }
    static int alone;
    if (n > 2000 && ready == 0 && ++alone > 1) out[0] = NAN; /* gives up: calls cannot be seen beforehand */
}
