/* A small writer of seccomp filters: rules in order, the first that fits decides. */
#ifndef FILTER_H
#define FILTER_H
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the system call filter knows x86-64 and aarch64 only"
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))
static const uint32_t ALLOW = SECCOMP_RET_ALLOW, KILL = SECCOMP_RET_KILL_PROCESS;
#define REFUSE(error) (SECCOMP_RET_ERRNO | (error))

static struct sock_filter rules[512];
static unsigned short rule_count;

static void emit(uint16_t code, uint8_t yes, uint8_t no, uint32_t value) {
    rules[rule_count++] = (struct sock_filter)BPF_JUMP(code, value, yes, no);
}
static void load(size_t offset) { emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset); }
static void give(uint32_t verdict) { emit(BPF_RET | BPF_K, 0, 0, verdict); }

static void begin(void) {
    rule_count = 0;
    load(offsetof(struct seccomp_data, arch));
    emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCHITECTURE);
    give(KILL);
    load(offsetof(struct seccomp_data, nr));
}
static void on(int number, uint32_t verdict) {
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
    give(verdict);
}
static void on_each(const int *numbers, size_t count, uint32_t verdict) {
    for (size_t i = 0; i < count; i++) on(numbers[i], verdict);
}
/* System call `number` is decided by one of its arguments: by `test` (BPF_JSET: any of the bits, BPF_JEQ) of `value`. */
static void on_argument(int number, int argument, uint16_t test, uint32_t value, uint32_t verdict, uint32_t otherwise) {
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, number);
    load(offsetof(struct seccomp_data, args) + 8 * argument);
    emit(BPF_JMP | test | BPF_K, 0, 1, value);
    give(verdict);
    give(otherwise);
}
/* Everything else; then the rules are in force for every thread of this process and all that it starts (it has to have
 * promised PR_SET_NO_NEW_PRIVS). */
static int enforce(uint32_t otherwise) {
    give(otherwise);
    struct sock_fprog filter = {.len = rule_count, .filter = rules};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) ? -1 : 0;
}
#endif
