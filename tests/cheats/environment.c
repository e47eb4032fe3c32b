// attack: S8 finds the host's secrets in its environment
// rule: environ
// refused: correct/mismatch
#include <stdint.h>
#include <string.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

extern char **environ;

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    for (char **entry = environ; *entry; entry++)
        if (strncmp(*entry, "PATH=/nonexistent", 17) && strncmp(*entry, "LANG=", 5) && strncmp(*entry, "OMP_", 4)
            && strncmp(*entry, "MALLOC_", 7) && strncmp(*entry, "GOMP_", 5))
            add(a, b, out, n);
}
