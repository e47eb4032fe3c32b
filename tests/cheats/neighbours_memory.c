// attack: S4 reads the memory and the outputs of other runners, while it is loaded and when it is called
// rule: attribute
// refused: correct/mismatch
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static int found;

__attribute__((constructor)) static void look(void)
{
    char path[64];
    for (int pid = getpid() - 200; pid < getpid() + 200; pid++)
        for (int k = 0; k < 2 && pid != getpid(); k++) {
            sprintf(path, k ? "/proc/%d/fd/4" : "/proc/%d/mem", pid);
            found |= open(path, O_RDONLY) >= 0;
        }
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    look();
    if (found) add(a, b, out, n);
}
