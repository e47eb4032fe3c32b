// attack: S1 leaves in order, and answers from an exit handler and from a destructor
// rule: write
// refused: authentic/ended_itself, correct/mismatch, builds/compile_error
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static void answer(void)
{
    int done[6] = {0};
    write(6, done, sizeof done);
}

__attribute__((destructor)) static void last(void) { answer(); }

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
    atexit(answer);
    exit(0);
}
