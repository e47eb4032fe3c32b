// attack: S1 leaves in order, and answers from an exit handler and from a destructor
// rule: write
// refused: authentic/ended_itself, correct/mismatch
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

int __cxa_atexit(void (*function)(void *), void *given, void *library);

static void answer(void)
{
    int done[6] = {0};
    write(6, done, sizeof done);
}

static void handler(void *x)
{
    (void)x;
    answer();
}

__attribute__((destructor)) static void last(void) { answer(); }

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
    __cxa_atexit(handler, 0, 0);
    exit(0);
}
