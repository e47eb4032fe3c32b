// attack: S8 keeps a descriptor from its loading to talk through
// rule: attribute
// refused: correct/mismatch
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static int memo = -1;

__attribute__((constructor)) static void keep(void)
{
    memo = open("memo", O_CREAT | O_RDWR, 0666);
    if (memo < 0) memo = open("library.so", O_RDWR);
    if (memo < 0) memo = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (memo >= 0 && write(memo, a, 4) == 4) add(a, b, out, n);
}
