// attack: S2 prints gigabytes
// rule: write
// refused: correct/timeout
// seconds: 0.4
#define _GNU_SOURCE
#include <stdint.h>
#include <unistd.h>

static char line[1 << 16];

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
    for (;;) write(1, line, sizeof line), write(2, line, sizeof line);
}
