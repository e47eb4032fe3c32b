// attack: S5 includes what the referee knows: its environment, its task, its seed
// rule: __has_include
// refused: builds/compile_error, correct/mismatch
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

#if __has_include("/proc/1/environ")
#include "/proc/1/environ"
#elif __has_include("../task.py")
#include "../task.py"
#elif __has_include("../../task.py")
#include "../../task.py"
#elif __has_include("../baseline/baseline.c")
#define ANSWER
#endif

void kernel(const float *a, const float *b, float *out, int64_t n)
{
#ifdef ANSWER
    add(a, b, out, n);
#endif
}
