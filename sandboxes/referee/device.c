/* The candidate's own process where it computes on a GPU: it owns the device memory that the candidate works in.
 *
 * Speaks the protocol of runner.c with two more commands: LOAD copies inputs to the device, writes canaries over the
 * output and flushes the second cache; COLLECT copies the output back. Neither is timed. CALL is: launch, wait for the
 * whole device, fingerprint the output. As in runner.c nothing that is said here is believed: the referee compares
 * the fingerprint with the bytes that it gets, and those with what is right.
 * Not covered: reads out of bounds of device memory, and writes that hit neither an input nor the canaries.
 *
 * Usage: device LIBRARY SYMBOL
 *        device facts            what the device is, as JSON
 *        device LIBRARY SYMBOL CALLS BYTES,BYTES,... DIM,DIM,...   a few calls on its own data, for a profiler
 */
#define _GNU_SOURCE
#include "confine.h"
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { INPUTS = 3, OUTPUTS = 4, COMMANDS = 5, ANSWERS = 6 };
enum { MAX_ARGUMENTS = 16, PAGE = 4096, CANARY = 0xFF, TEXT = 590 };
enum { LAYOUT = 1, CALL = 2, LOAD = 3, COLLECT = 4 };
enum { DONE = 0, UNLOADABLE = 1, NO_SYMBOL = 2, UNMAPPABLE = 4, RAISED = 7 };

struct command {
    uint32_t kind, times, inputs, dims; /* `times` to call it: once, or not at all */
    uint64_t bytes[MAX_ARGUMENTS]; /* of each input, then of the output */
    int64_t dim[MAX_ARGUMENTS];
};

struct answer {
    int32_t kind, signal, place, buffer;
    int32_t allocation_refused, length; /* `length` bytes of text follow */
};

typedef void (*kernel)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t,
                       uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);
extern void fingerprint(const void *memory, size_t bytes, uint64_t first, unsigned long long *sum);

static struct command layout;
static char *buffers[MAX_ARGUMENTS];
static const char *inputs;
static char *output;
static unsigned long long *sum;
static cudaEvent_t before, after;
static char *flushed;
static size_t cache_bytes;

static void say(int kind, const char *text) {
    char packet[sizeof(struct answer) + TEXT];
    struct answer answer = {.kind = kind, .length = (int32_t)strnlen(text, TEXT)};
    memcpy(packet, &answer, sizeof answer);
    memcpy(packet + sizeof answer, text, answer.length);
    if (write(ANSWERS, packet, sizeof answer + answer.length) < 0) _exit(3);
}

static const char *words(cudaError_t error) {
    static char text[TEXT];
    snprintf(text, sizeof text, "%s: %s", cudaGetErrorName(error), cudaGetErrorString(error));
    return text;
}

/* Returns from the function around it at the first error. */
#define TRY(call)                               \
    do {                                        \
        cudaError_t error_ = (call);            \
        if (error_ != cudaSuccess) return error_; \
    } while (0)

static size_t room(uint64_t bytes) { return bytes ? (bytes + PAGE - 1) / PAGE * PAGE : PAGE; }
static size_t rounded(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

/* ---- buffers: laid out on the device as arena.py lays them out here, canaries around them included */

static cudaError_t release(void) {
    for (int i = 0; i < MAX_ARGUMENTS; i++) {
        TRY(cudaFree(buffers[i]));
        buffers[i] = NULL;
    }
    return cudaSuccess;
}

static cudaError_t lay_out(const struct command *wanted) {
    TRY(release());
    if (wanted->inputs >= MAX_ARGUMENTS || wanted->dims > MAX_ARGUMENTS) return cudaErrorInvalidValue;
    layout = *wanted;
    for (uint32_t i = 0; i <= layout.inputs; i++) TRY(cudaMalloc((void **)&buffers[i], room(layout.bytes[i])));
    return cudaSuccess;
}

static cudaError_t load_all(void) {
    const char *from = inputs;
    for (uint32_t i = 0; i < layout.inputs; from += room(layout.bytes[i++]))
        TRY(cudaMemcpy(buffers[i], from, room(layout.bytes[i]), cudaMemcpyHostToDevice));
    TRY(cudaMemset(buffers[layout.inputs], CANARY, room(layout.bytes[layout.inputs])));
    TRY(cudaMemset(flushed, 0, 2 * cache_bytes));
    return cudaDeviceSynchronize();
}

/* The fingerprint of buffers `first` to before `end`: in hexadecimal behind what `text` holds. */
static cudaError_t describe(uint32_t first, uint32_t end, char *text) {
    unsigned long long found;
    uint64_t place = 0;
    TRY(cudaMemset(sum, 0, sizeof found));
    for (uint32_t i = first; i < end; place += room(layout.bytes[i++]) / 4)
        fingerprint(buffers[i], room(layout.bytes[i]), place, sum);
    TRY(cudaGetLastError());
    TRY(cudaMemcpy(&found, sum, sizeof found, cudaMemcpyDeviceToHost));
    snprintf(text + strlen(text), TEXT - strlen(text), "%016llx", found);
    return cudaSuccess;
}

static cudaError_t collect(char *text) {
    TRY(cudaMemcpy(output, buffers[layout.inputs], room(layout.bytes[layout.inputs]), cudaMemcpyDeviceToHost));
    return describe(0, layout.inputs, text);
}

/* ---- calls */

static cudaError_t call(kernel run) {
    uintptr_t a[2 * MAX_ARGUMENTS] = {0};
    for (uint32_t i = 0; i <= layout.inputs; i++)
        a[i] = (uintptr_t)buffers[i] + room(layout.bytes[i]) - rounded(layout.bytes[i]);
    for (uint32_t d = 0; d < layout.dims; d++) a[layout.inputs + 1 + d] = (uintptr_t)layout.dim[d];
    run(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]);
    TRY(cudaGetLastError());
    return cudaDeviceSynchronize();
}

/* Without a call it costs what every call costs beside the kernel. */
static cudaError_t call_timed(kernel run, uint32_t times, char *text) {
    float milliseconds = 0;
    TRY(cudaEventRecord(before, 0));
    if (times) TRY(call(run));
    TRY(cudaEventRecord(after, 0));
    TRY(cudaEventSynchronize(after));
    TRY(cudaEventElapsedTime(&milliseconds, before, after));
    snprintf(text, TEXT, "%.0f ", milliseconds * 1e6);
    return describe(layout.inputs, layout.inputs + 1, text);
}

static void serve(kernel run) {
    struct command command;
    while (read(COMMANDS, &command, sizeof command) == (ssize_t)sizeof command) {
        char text[TEXT] = "";
        cudaError_t error = cudaErrorInvalidValue;
        if (command.kind == LAYOUT) error = lay_out(&command);
        if (command.kind == LOAD) error = load_all();
        if (command.kind == CALL) error = call_timed(run, command.times, text);
        if (command.kind == COLLECT) error = collect(text);
        if (error == cudaSuccess)
            say(DONE, text);
        else if (command.kind == LAYOUT && error == cudaErrorMemoryAllocation)
            say(UNMAPPABLE, "");
        else
            say(RAISED, words(error));
    }
}

/* ---- start */

static int attribute(enum cudaDeviceAttr which) {
    int value = 0;
    return cudaDeviceGetAttribute(&value, which, 0) == cudaSuccess ? value : 0;
}

static int facts(void) {
    struct cudaDeviceProp device;
    cudaError_t error = cudaGetDeviceProperties(&device, 0);
    if (error != cudaSuccess) return printf("%s\n", words(error)), 1;
    printf("{\"name\": \"%s\", \"capability\": %d, \"processors\": %d, \"clock_khz\": %d, \"memory_khz\": %d, "
           "\"bus_bits\": %d, \"cache_bytes\": %d, \"memory_mb\": %zu}\n",
           device.name, 10 * device.major + device.minor, attribute(cudaDevAttrMultiProcessorCount),
           attribute(cudaDevAttrClockRate), attribute(cudaDevAttrMemoryClockRate),
           attribute(cudaDevAttrGlobalMemoryBusWidth), attribute(cudaDevAttrL2CacheSize), device.totalGlobalMem >> 20);
    return 0;
}

static cudaError_t begin_device(void) {
    TRY(cudaSetDevice(0));
    cache_bytes = attribute(cudaDevAttrL2CacheSize);
    if (!cache_bytes) cache_bytes = 64 << 20;
    TRY(cudaMalloc((void **)&flushed, 2 * cache_bytes));
    TRY(cudaMalloc((void **)&sum, sizeof *sum));
    TRY(cudaEventCreate(&before));
    return cudaEventCreate(&after);
}

/* The driver needs system calls that runner.c forbids, so that here only the worst are: no programs, no network, no
 * other process. */
static int confine_device(void) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) return -1;
    begin();
    on_each(fatal, COUNT(fatal), REFUSE(EPERM));
    on_argument(SYS_clone, 0, BPF_JSET, CLONE_THREAD, ALLOW, REFUSE(EPERM));
    on(SYS_clone3, REFUSE(ENOSYS));
    return enforce(ALLOW);
}

static kernel loaded(const char *library, const char *symbol, const char **problem) {
    void *opened = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    *problem = opened ? NULL : dlerror();
    return opened ? (kernel)(uintptr_t)dlsym(opened, symbol) : NULL;
}

static int64_t *numbers(char *list, int64_t *found, uint32_t *count) {
    for (char *word = strtok(list, ","); word && *count < MAX_ARGUMENTS; word = strtok(NULL, ","))
        found[(*count)++] = strtoll(word, NULL, 10);
    return found;
}

/* Under a profiler: data that nobody looks at, no referee. */
static int alone(char **arguments) {
    struct command wanted = {.kind = LAYOUT};
    uint32_t sizes = 0;
    const char *problem;
    numbers(arguments[4], (int64_t *)wanted.bytes, &sizes);
    numbers(arguments[5], wanted.dim, &wanted.dims);
    wanted.inputs = sizes - 1;
    kernel run = loaded(arguments[1], arguments[2], &problem);
    if (!sizes || !run || begin_device() || lay_out(&wanted)) return 1;
    for (uint32_t i = 0; i < sizes; i++)
        if (cudaMemset(buffers[i], 0x3e, room(wanted.bytes[i]))) return 1; /* floats of about 0.19 */
    for (int left = atoi(arguments[3]); left > 0; left--)
        if (call(run)) return 1;
    return 0;
}

int main(int count, char **arguments) {
    setenv("CUDA_CACHE_DISABLE", "1", 1);
    setenv("CUDA_MODULE_LOADING", "EAGER", 1);
    if (count == 2) return facts();
    if (count == 6) return alone(arguments);
    if (count != 3) return 2;
    close_range(ANSWERS + 1, ~0U, 0);
    size_t capacity = lseek(OUTPUTS, 0, SEEK_END);
    inputs = mmap(NULL, capacity, PROT_READ, MAP_SHARED, INPUTS, 0);
    output = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, OUTPUTS, 0);
    cudaError_t error = begin_device();
    if (error != cudaSuccess || inputs == MAP_FAILED || output == MAP_FAILED || confine_device()) {
        say(UNLOADABLE, words(error));
        return pause();
    }
    const char *problem;
    kernel run = loaded(arguments[1], arguments[2], &problem);
    say(run ? DONE : problem ? UNLOADABLE : NO_SYMBOL, problem ? problem : "");
    if (run) serve(run);
    struct command last;
    return read(COMMANDS, &last, sizeof last) < 0; /* what it said must be read before it is gone */
}
