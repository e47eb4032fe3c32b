// attack: S1 leaves with exit code 0
// rule: _exit
// refused: authentic/ended_itself
#define _GNU_SOURCE
#include <stdint.h>
#include <unistd.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
    _exit(0);
}
