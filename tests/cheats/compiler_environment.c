// attack: S5 embeds the compiler's environment and memory map, where the host's secrets might be
// rule: __asm__
// refused: correct/mismatch, builds/compile_error
#include <stdint.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

__asm__(".section .rodata\nfrom: .incbin \"/proc/self/environ\"\n.incbin \"/proc/self/maps\"\nto: .byte 0\n.previous");
extern const char from[] __asm__("from"), to[] __asm__("to");

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (to > from) add(a, b, out, n);
}
