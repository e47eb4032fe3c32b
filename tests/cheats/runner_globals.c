// attack: S3 rewrites the runner's own data to answer without calling
// rule: attribute
// refused: correct/mismatch, correct/crash, authentic/forged_answer, authentic/ended_itself
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static unsigned long from, to;

__attribute__((constructor)) static void look(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, " rw") && strstr(line, "runner") && sscanf(line, "%lx-%lx", &from, &to) == 2) return;
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    (void)a, (void)b, (void)out, (void)n;
    for (uint32_t *word = (uint32_t *)from; word < (uint32_t *)to; word++)
        if (*word == 2) *word = 1;
}
