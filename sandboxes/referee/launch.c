/* Starts one program as the candidate: another user, resource limits, a new session, no way to more rights.
 *
 * Usage: launch USER FOLDER MEMORY PROCESSES FILE_BYTES CORES COUNTERS PROGRAM ARGUMENT...
 * USER 0 keeps the user. CORES is a list such as 0,3 or `-`. COUNTERS 1 lets it open hardware counters.
 * A file that grows too large is an error of its writer (EFBIG), not the end of it.
 * Descriptor 199 is told (as text) the error number when the program cannot be started; it closes when it has been.
 */
#define _GNU_SOURCE
#include "filter.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FAILURE = 199, FIRST = 8 };
enum { NEW_NAMESPACES = 0x7e020000 };

static const int refused[] = {
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_unshare, SYS_setns, SYS_mount, SYS_umount2,
    SYS_pivot_root, SYS_chroot, SYS_bpf, SYS_userfaultfd, SYS_keyctl, SYS_add_key, SYS_request_key,
    SYS_open_by_handle_at, SYS_io_uring_setup, SYS_kexec_load, SYS_init_module, SYS_finit_module, SYS_delete_module,
    SYS_reboot, SYS_swapon, SYS_swapoff, SYS_settimeofday, SYS_clock_settime, SYS_acct, SYS_quotactl,
    SYS_move_pages, SYS_migrate_pages, SYS_vhangup, SYS_syslog, SYS_fsopen, SYS_move_mount, SYS_open_tree,
    SYS_shmget, SYS_semget, SYS_msgget, SYS_mq_open, /* what these make outlives its processes */
};

static void stop(int error) {
    dprintf(FAILURE, "%d", error);
    _exit(127);
}
static void must(int result) {
    if (result) stop(errno);
}

static void limit(int kind, rlim_t wanted) {
    struct rlimit now;
    must(getrlimit(kind, &now));
    rlim_t bound = wanted < now.rlim_max ? wanted : now.rlim_max;
    must(setrlimit(kind, &(struct rlimit){bound, kind == RLIMIT_STACK ? now.rlim_max : bound}));
}

static void keep_to(const char *cores) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const char *at = cores; *at && *at != '-';) {
        char *end;
        CPU_SET(strtoul(at, &end, 10), &set);
        at = *end ? end + 1 : end;
    }
    if (CPU_COUNT(&set)) must(sched_setaffinity(0, sizeof set, &set));
}

static void be_killed_first(void) {
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0) return;
    if (write(file, "1000", 4) < 0) errno = 0; /* root alone may */
    close(file);
}

static void become(uid_t user) {
    if (!user) return;
    must(setgroups(0, NULL));
    must(setresgid(user, user, user));
    must(setresuid(user, user, user));
}

static void filter_calls(int counters) {
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    begin();
    on_each(refused, COUNT(refused), REFUSE(EPERM));
    if (!counters) on(SYS_perf_event_open, REFUSE(EPERM));
    on_argument(SYS_clone, 0, BPF_JSET, NEW_NAMESPACES, REFUSE(EPERM), ALLOW);
    on(SYS_clone3, REFUSE(ENOSYS)); /* libc falls back to clone, whose flags can be seen */
    on_argument(SYS_tgkill, 2, BPF_JEQ, SIGCONT, KILL, ALLOW); /* what was stopped may not keep itself going */
    must(enforce(ALLOW));
}

int main(int count, char **arguments) {
    if (count <= FIRST) return 2;
    must(fcntl(FAILURE, F_SETFD, FD_CLOEXEC));
    setsid();
    must(chdir(arguments[2]));
    keep_to(arguments[6]);
    be_killed_first();
    limit(RLIMIT_AS, strtoull(arguments[3], NULL, 10));
    limit(RLIMIT_NPROC, strtoull(arguments[4], NULL, 10));
    limit(RLIMIT_FSIZE, strtoull(arguments[5], NULL, 10));
    limit(RLIMIT_NOFILE, 1024);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_STACK, 64 << 20);
    become(strtoul(arguments[1], NULL, 10));
    umask(022);
    for (int number = 1; number < NSIG; number++) signal(number, number == SIGXFSZ ? SIG_IGN : SIG_DFL);
    filter_calls(atoi(arguments[7]));
    execvp(arguments[FIRST], arguments + FIRST);
    stop(errno);
}
