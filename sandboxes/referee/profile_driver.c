/* Calls a kernel on inputs from a file, to be watched by valgrind, by perf, or by itself through getrusage.
 *
 * Usage: profile_driver LIBRARY SYMBOL INPUTS MILLISECONDS [plain]
 * After a first call it goes on calling for MILLISECONDS; for 0 the first call is the only one. What it prints explains
 * a kernel and never votes. `plain`: without the filter for system calls, under which valgrind could not work.
 */
#define _GNU_SOURCE
#include "confine.h"
#include <dlfcn.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { MAX_ARGUMENTS = 16, ALIGNMENT = 64, PAGE = 4096 };

struct layout {
    int64_t inputs, dims, bytes[MAX_ARGUMENTS], dim[MAX_ARGUMENTS]; /* bytes of each input, then of the output */
};

typedef void (*kernel)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t,
                       uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

static int complain(const char *words) {
    fprintf(stderr, "%s\n", words);
    return 1;
}

static int read_arguments(const char *path, uintptr_t arguments[MAX_ARGUMENTS]) {
    struct layout layout;
    FILE *file = fopen(path, "rb");
    if (!file || fread(&layout, sizeof layout, 1, file) != 1) return -1;
    for (int i = 0; i <= layout.inputs; i++) {
        size_t bytes = layout.bytes[i], room = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT + ALIGNMENT;
        char *buffer = aligned_alloc(ALIGNMENT, room);
        if (!buffer) return -1;
        for (size_t at = 0; at < room; at += PAGE) buffer[at] = -1; /* no page is new to the kernel */
        if (i < layout.inputs && bytes && fread(buffer, bytes, 1, file) != 1) return -1;
        arguments[i] = (uintptr_t)buffer;
    }
    for (int i = 0; i < layout.dims; i++) arguments[layout.inputs + 1 + i] = (uintptr_t)layout.dim[i];
    return fclose(file);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e3 * time.tv_sec + 1e-6 * time.tv_nsec;
}

static double busy(const struct rusage *usage) {
    return 1e3 * (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           1e-3 * (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

static void call(kernel run, const uintptr_t *a) {
    run(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]);
}

static void repeat(kernel run, const uintptr_t *arguments, double milliseconds) {
    struct rusage before, after;
    long calls = 0;
    getrusage(RUSAGE_SELF, &before);
    double started = now(), before_call = started, least = 1e300;
    for (; before_call - started < milliseconds; calls++) {
        call(run, arguments);
        double after_call = now(), took = after_call - before_call;
        if (took < least) least = took;
        before_call = after_call;
    }
    getrusage(RUSAGE_SELF, &after);
    printf("{\"calls\": %ld, \"wall_ms\": %.6f, \"least_ms\": %.6f, \"cpu_ms\": %.6f, ", calls,
           (before_call - started) / calls, least, (busy(&after) - busy(&before)) / calls);
    printf("\"page_faults\": %ld, \"switches\": %ld}\n",
           after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt,
           after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw);
}

int main(int count, char **words) {
    uintptr_t arguments[MAX_ARGUMENTS] = {0};
    if (count < 5 || omp_get_max_threads() < 1) return 2;
    if (read_arguments(words[3], arguments)) return complain("the inputs cannot be read");
    if (count == 5 && confine(0)) return complain("the filter for system calls cannot be set");
    void *library = dlopen(words[1], RTLD_NOW | RTLD_LOCAL);
    kernel run = library ? (kernel)(uintptr_t)dlsym(library, words[2]) : NULL;
    if (!run) return complain(dlerror());
    call(run, arguments);
    if (atof(words[4]) > 0) repeat(run, arguments, atof(words[4]));
    return fflush(stdout);
}
