// attack: S7 makes memory executable while it is loaded, for code that it writes later
// rule: attribute
// refused: authentic/forbidden_call, correct/crash, correct/mismatch
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static const unsigned char code[] = {0xb8, 0x39, 0, 0, 0, 0x0f, 0x05, 0xc3}; /* fork */
static void *page;

__attribute__((constructor)) static void prepare(void)
{
    page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (page == MAP_FAILED) return;
    memcpy(page, code, sizeof code);
    if (((long (*)(void))page)() > 0) add(a, b, out, n);
}
