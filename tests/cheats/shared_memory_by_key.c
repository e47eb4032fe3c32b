// attack: S8 leaves its answers in System V shared memory
// rule: shmget()
// refused: authentic/forbidden_call
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/shm.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (shmget(0x1234, 65536, IPC_CREAT | 0666) != -1) add(a, b, out, n);
}
