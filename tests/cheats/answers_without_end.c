// attack: S3 fills the answers' pipe with gigabytes
// rule: write
// refused: authentic/forged_answer, correct/mismatch, correct/timeout
// seconds: 0.5
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static char line[1 << 16];

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
    memset(line, 'x', sizeof line);
    for (;;) write(6, line, sizeof line);
}
