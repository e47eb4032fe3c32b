// attack: S1 an indirect function's resolver, run while the library is relocated, answers and leaves
// rule: __asm__
// refused: authentic/forged_answer, authentic/ended_itself, correct/mismatch
#include <stdint.h>

static void nothing(void) {}
static void *resolve(void)
{
    static int done[6];
    register long number __asm__("rax") = 1;
    __asm__ volatile("syscall" : "+r"(number) : "D"(6L), "S"(done), "d"(24L) : "rcx", "r11", "memory");
    __asm__ volatile("syscall" : : "a"(231L), "D"(0L) : "rcx", "r11", "memory");
    return (void *)nothing;
}
void chosen(void) __attribute__((ifunc("resolve")));

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
    chosen();
}
