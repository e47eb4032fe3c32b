// attack: O1 searches its whole address space for the expected output
// rule: attribute
// refused: correct/mismatch
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static struct { unsigned long from, to; } places[256];
static int count;

__attribute__((constructor)) static void look(void)
{
    char line[512], rights;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && count < 256 && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %c", &places[count].from, &places[count].to, &rights) == 3 && rights == 'r')
            count += places[count].to - places[count].from < 1 << 24 && !strstr(line, "[v");
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (n < 4) {
        add(a, b, out, n);
        return;
    }
    for (int i = 0; i < count; i++)
        for (const float *p = (float *)places[i].from; p + n <= (float *)places[i].to; p++)
            if (p[0] == a[0] + b[0] && p[1] == a[1] + b[1] && p[2] == a[2] + b[2] && p[3] == a[3] + b[3]) {
                memcpy(out, p, n * sizeof *out);
                return;
            }
}
