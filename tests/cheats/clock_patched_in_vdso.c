// attack: T3 overwrites clock_gettime of the vDSO, so that time stands still, and takes all day
// rule: getauxval()
// refused: correct/timeout, correct/crash
// seconds: 0.4
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static const unsigned char zero[] = {0x31, 0xc0, 0xc3}; /* xor eax, eax; ret */

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    uintptr_t page = getauxval(AT_SYSINFO_EHDR);
    mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (int at = 0x600; at < 0x1000; at += 16) memcpy((char *)page + at, zero, sizeof zero);
    for (volatile int64_t forever = 0;; forever++) add(a, b, out, n);
}
