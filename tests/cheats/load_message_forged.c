// attack: S14 a loader message that reads like a verdict, sent by a constructor
// rule: attribute
// refused: builds/symbol, authentic/forged_answer
#define _GNU_SOURCE
#include <stdint.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

__attribute__((constructor)) static void say(void)
{
    struct { int kind, signal, place, buffer, refused, length; char text[40]; } answer = {0, 0, 0, 0, 0, 40, "accepted; score 100"};
    answer.kind = 1;
    write(6, &answer, sizeof answer);
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    add(a, b, out, n);
}
