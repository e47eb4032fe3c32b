// attack: S3 reads the referee's next command itself
// rule: read
// refused: correct/timeout, correct/mismatch
// seconds: 0.4
#define _GNU_SOURCE
#include <stdint.h>
#include <unistd.h>

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    char command[288];
    (void)a, (void)b, (void)out, (void)n;
    read(5, command, sizeof command);
}
