/* The candidate's own process: maps the referee's buffers, loads the candidate's library, calls it on command.
 *
 * Nothing that this process says is believed: the referee judges from the bytes in the output buffers and times
 * with its own clock. What is reported over `ANSWERS` (the place of a fault, for example) only explains a failure.
 *
 * Descriptors: 3 inputs (read-only, sealed), 4 outputs, 5 commands in, 6 answers out. Usage: runner LIBRARY SYMBOL
 */
#define _GNU_SOURCE
#include "confine.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <omp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { INPUTS = 3, OUTPUTS = 4, COMMANDS = 5, ANSWERS = 6 };
enum { MAX_ARGUMENTS = 16, PAGE = 4096, GUARD = 64 * 1024 };
enum { LAYOUT = 1, CALL = 2 };
enum { DONE = 0, UNLOADABLE = 1, NO_SYMBOL = 2, FAULT = 3, UNMAPPABLE = 4, ENVIRONMENT = 5 };
enum { NOWHERE = 0, BEFORE = 1, AFTER = 2, READ_ONLY = 3, NULL_POINTER = 4 };

struct command {
    uint32_t kind, times, inputs, dims; /* `times` to call it: once, or not at all */
    uint64_t bytes[MAX_ARGUMENTS]; /* of each input, then of the output */
    int64_t dim[MAX_ARGUMENTS];
};

struct answer {
    int32_t kind, signal, place, buffer;
    int32_t allocation_refused, length; /* `length` bytes of text follow */
};

struct region {
    char *reserved, *pages, *start;
    size_t room; /* whole pages */
};

static struct region regions[MAX_ARGUMENTS];
static uint32_t region_count;
static struct command layout;
static volatile int allocation_refused;

/* The executable's allocator shadows libc's, only to remember that the memory limit was hit. */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static void *noted(void *memory) {
    if (!memory) allocation_refused = 1;
    return memory;
}
void *malloc(size_t bytes) { return noted(__libc_malloc(bytes)); }
void *calloc(size_t count, size_t bytes) { return noted(__libc_calloc(count, bytes)); }
void *realloc(void *old, size_t bytes) {
    return bytes ? noted(__libc_realloc(old, bytes)) : __libc_realloc(old, bytes);
}
void *memalign(size_t alignment, size_t bytes) { return noted(__libc_memalign(alignment, bytes)); }
void *aligned_alloc(size_t alignment, size_t bytes) { return noted(__libc_memalign(alignment, bytes)); }
int posix_memalign(void **out, size_t alignment, size_t bytes) {
    *out = noted(__libc_memalign(alignment, bytes));
    return *out ? 0 : ENOMEM;
}

static void say(struct answer answer, const char *text) {
    char packet[sizeof answer + 600];
    answer.allocation_refused = allocation_refused;
    answer.length = text ? (int32_t)strnlen(text, 600) : 0;
    memcpy(packet, &answer, sizeof answer);
    if (text) memcpy(packet + sizeof answer, text, answer.length);
    if (write(ANSWERS, packet, sizeof answer + answer.length) < 0) _exit(3);
}

static int locate(const char *address, int *buffer) {
    if ((uintptr_t)address < 65536) return NULL_POINTER;
    for (uint32_t i = 0; i < region_count; i++) {
        const struct region *r = &regions[i];
        *buffer = i;
        if (address >= r->reserved && address < r->pages) return BEFORE;
        if (address >= r->pages && address < r->pages + r->room) return READ_ONLY;
        if (address >= r->pages + r->room && address < r->pages + r->room + GUARD) return AFTER;
    }
    return NOWHERE;
}

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    struct answer answer = {.kind = FAULT, .signal = number};
    answer.place = number == SIGSEGV || number == SIGBUS ? locate(info->si_addr, &answer.buffer) : NOWHERE;
    say(answer, NULL);
    signal(number, SIG_DFL);
    raise(number);
}

static void watch_faults(void) {
    static char stack[64 * 1024];
    stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternative, NULL);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaction(numbers[i], &action, NULL);
}

/* ---- buffers ---- */

static size_t pages_for(uint64_t bytes) { return bytes ? (bytes + PAGE - 1) / PAGE * PAGE : PAGE; }

static int map_region(struct region *r, int descriptor, uint64_t bytes, off_t offset) {
    r->room = pages_for(bytes);
    r->reserved = mmap(NULL, r->room + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->reserved == MAP_FAILED) return -1;
    int rights = descriptor == OUTPUTS ? PROT_READ | PROT_WRITE : PROT_READ;
    r->pages = mmap(r->reserved + GUARD, r->room, rights, MAP_SHARED | MAP_FIXED | MAP_POPULATE, descriptor, offset);
    if (r->pages == MAP_FAILED) return -1;
    r->start = r->pages + r->room - (bytes + 63) / 64 * 64; /* aligned, and as near to the guard behind as it goes */
    return 0;
}

static int map_all(void) {
    for (uint32_t i = 0; i < region_count; i++) munmap(regions[i].reserved, regions[i].room + 2 * GUARD);
    off_t offset = 0;
    for (region_count = 0; region_count < layout.inputs; offset += regions[region_count++].room)
        if (map_region(&regions[region_count], INPUTS, layout.bytes[region_count], offset)) return -1;
    if (map_region(&regions[region_count], OUTPUTS, layout.bytes[region_count], 0)) return -1;
    region_count++;
    return 0;
}

typedef void (*kernel)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t,
                       uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

/* Rounding, flushing of denormals, trapping: all but the flags that say what has happened. */
static uint32_t arithmetic(void) {
#if defined(__x86_64__)
    return __builtin_ia32_stmxcsr() & 0xffc0;
#else
    return fegetround();
#endif
}

/* Each call begins in the default environment: a library built with -ffast-math flushes denormals for its process. */
static int call(kernel run) {
    fesetenv(FE_DFL_ENV);
    uint32_t before = arithmetic();
    uintptr_t a[MAX_ARGUMENTS] = {0};
    for (uint32_t i = 0; i < region_count; i++) a[i] = (uintptr_t)regions[i].start;
    for (uint32_t d = 0; d < layout.dims; d++) a[region_count + d] = (uintptr_t)layout.dim[d];
    run(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]);
    return arithmetic() == before;
}

static void serve(kernel run) {
    struct command command;
    while (read(COMMANDS, &command, sizeof command) == (ssize_t)sizeof command) {
        struct answer answer = {.kind = DONE};
        if (command.kind == LAYOUT) {
            layout = command;
            if (map_all()) answer.kind = UNMAPPABLE;
        } else if (command.kind == CALL && command.times) {
            if (!call(run)) answer.kind = ENVIRONMENT;
        }
        say(answer, NULL);
    }
}

int main(int count, char **arguments) {
    if (count != 3 || omp_get_max_threads() < 1) return 2;
    close_range(ANSWERS + 1, ~0U, 0);
    watch_faults();
    if (confine(0)) return 2;
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    const char *problem = library ? NULL : dlerror();
    kernel run = library ? (kernel)(uintptr_t)dlsym(library, arguments[2]) : NULL;
    if (close_in()) return 2;
    say((struct answer){.kind = run ? DONE : library ? NO_SYMBOL : UNLOADABLE}, problem);
    if (run) serve(run);
    struct command last;
    return read(COMMANDS, &last, sizeof last) < 0; /* what it said must be read before it is gone */
}
