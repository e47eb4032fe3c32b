// attack: S7 tries what a filter may have forgotten: rings, events, keys, queues, handles
// rule: syscall
// refused: correct/mismatch, authentic/forbidden_call
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    char zero[256] = {0};
    long numbers[] = {SYS_io_uring_setup, SYS_userfaultfd, SYS_perf_event_open, SYS_add_key, SYS_msgget, SYS_semget,
                      SYS_timer_create, SYS_inotify_init1, SYS_signalfd4, SYS_eventfd2, SYS_personality, SYS_chroot,
                      SYS_name_to_handle_at, SYS_seccomp, SYS_prctl, SYS_openat2, SYS_rt_tgsigqueueinfo};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (syscall(numbers[i], 0, zero, 0, 0, 0) >= 0) add(a, b, out, n);
}
