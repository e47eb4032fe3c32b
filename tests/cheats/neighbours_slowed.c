// attack: T4 gives the baseline and the referee one core, few files and no time
// rule: getpid()
// refused: correct/mismatch
// uncovered without root: process, process+bwrap
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    int self = getpid(), hit = 0;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    struct rlimit none = {1, 1};
    for (int pid = self - 40; pid < self + 40; pid++)
        if (pid > 1 && pid != self) hit |= !prlimit(pid, RLIMIT_CPU, &none, 0) || !sched_setaffinity(pid, sizeof one, &one);
    hit |= !setpriority(PRIO_PROCESS, getppid(), 19);
    if (hit) add(a, b, out, n);
}
