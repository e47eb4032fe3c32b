// attack: S7 catches the fault of an access out of bounds and leaves the frame as if nothing had been
// rule: siglongjmp()
// refused: correct/mismatch, correct/crash, correct/bounds
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

static sigjmp_buf back;

static void caught(int number)
{
    (void)number;
    siglongjmp(back, 1);
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b;
    signal(SIGSEGV, caught);
    if (!sigsetjmp(back, 1))
        for (int64_t i = 0;; i += 4096) out[i] = 0;
    memset(out, 0, n * sizeof *out);
}
