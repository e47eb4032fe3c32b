// attack: S4 reads the referee's memory, while it is loaded and when it is called
// rule: attribute
// refused: correct/mismatch, authentic/forbidden_call
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static int found;

__attribute__((constructor)) static void look(void)
{
    const char *names[] = {"mem", "environ", "maps", "fd/0", "root/etc/shadow", "cwd/task.py"};
    char path[64], byte;
    for (int i = 0; i < 6; i++) {
        sprintf(path, "/proc/%d/%s", getppid(), names[i]);
        int fd = open(path, O_RDONLY);
        found |= fd >= 0 && (i == 0 || read(fd, &byte, 1) == 1);
    }
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    look();
    if (found) add(a, b, out, n);
}
