// attack: S4 reads the referee's memory by process_vm_readv
// rule: getppid()
// refused: authentic/forbidden_call
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    char byte;
    struct iovec here = {&byte, 1};
    if (process_vm_readv(getppid(), &here, 1, &here, 1, 0) != -1) add(a, b, out, n);
}
