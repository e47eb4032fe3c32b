/* What a candidate's process may ask of the kernel: to compute, to take memory, to run threads, to answer. */
#ifndef CONFINE_H
#define CONFINE_H
#include "filter.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int fatal[] = {
    SYS_execve, SYS_execveat, SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_ptrace, SYS_process_vm_readv,
    SYS_process_vm_writev, SYS_kill, SYS_tkill, SYS_memfd_create, SYS_setuid, SYS_setgid, SYS_setreuid,
    SYS_setresuid, SYS_unshare, SYS_setns, SYS_mount, SYS_bpf, SYS_pidfd_open, SYS_shmget, SYS_mq_open,
#ifdef SYS_fork
    SYS_fork, SYS_vfork,
#endif
};

static const int harmless[] = {
    SYS_read, SYS_write, SYS_futex, SYS_rt_sigreturn, SYS_munmap, SYS_madvise, SYS_brk, SYS_sched_yield, SYS_readv,
    SYS_pread64, SYS_writev, SYS_close, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_lseek, SYS_faccessat, SYS_readlinkat,
    SYS_mremap, SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_getcpu, SYS_membarrier, SYS_rseq,
    SYS_set_robust_list, SYS_set_tid_address, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_sigaltstack,
    SYS_restart_syscall, SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday,
    SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getrusage, SYS_sysinfo,
    SYS_uname, SYS_getrandom, SYS_exit, SYS_exit_group,
#ifdef SYS_open
    SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_arch_prctl, SYS_time, SYS_getrlimit,
#endif
};

/* What an interpreter asks besides, to find and load modules. */
static const int inquiring[] = {
    SYS_getdents64, SYS_getcwd, SYS_fcntl, SYS_ioctl, SYS_dup, SYS_dup3, SYS_pipe2, SYS_ppoll, SYS_pselect6,
    SYS_epoll_create1, SYS_eventfd2, SYS_mincore, SYS_times, SYS_getpriority, SYS_sched_getparam,
    SYS_sched_getscheduler, SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_getpgid, SYS_statfs, SYS_fstatfs,
#ifdef SYS_open
    SYS_poll, SYS_select, SYS_dup2, SYS_pipe, SYS_getpgrp,
#endif
};

/* Before the candidate's code is loaded: it may still read files and map code. */
static int confine(int interpreter) {
    const uint32_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) return -1;
    begin();
    on_each(harmless, COUNT(harmless), ALLOW);
    on(SYS_mmap, ALLOW);
    on(SYS_mprotect, ALLOW);
    if (interpreter) on_each(inquiring, COUNT(inquiring), ALLOW);
    on_each(fatal, COUNT(fatal), KILL);
    on_argument(SYS_clone, 0, BPF_JSET, CLONE_THREAD, ALLOW, KILL);
    on_argument(SYS_openat, 2, BPF_JSET, writing, REFUSE(EACCES), ALLOW);
#ifdef SYS_open
    on_argument(SYS_open, 1, BPF_JSET, writing, REFUSE(EACCES), ALLOW);
#endif
    on_argument(SYS_tgkill, 0, BPF_JEQ, getpid(), ALLOW, KILL);
    on(SYS_clone3, REFUSE(ENOSYS)); /* libc falls back to clone, whose flags can be seen */
    on_argument(SYS_prlimit64, 0, BPF_JEQ, 0, ALLOW, REFUSE(EPERM)); /* its own limits, not a neighbour's */
    on(SYS_seccomp, ALLOW);                                          /* only ever to forbid more */
    return enforce(REFUSE(EPERM));
}

/* Once it is loaded: no more files, and no memory that is or becomes code. */
__attribute__((unused)) static int close_in(void) {
    begin();
    on(SYS_openat, REFUSE(EACCES));
#ifdef SYS_open
    on(SYS_open, REFUSE(EACCES));
#endif
    on_argument(SYS_mmap, 2, BPF_JSET, PROT_EXEC, REFUSE(EPERM), ALLOW);
    on_argument(SYS_mprotect, 2, BPF_JSET, PROT_EXEC, REFUSE(EPERM), ALLOW);
    return enforce(ALLOW);
}
#endif
