// attack: S11 lists the referee's folders while it is loaded, and calls the baseline's library from there
// rule: attribute
// refused: correct/mismatch
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef void (*function)(const float *, const float *, float *, int64_t);
static function found;
void kernel(const float *a, const float *b, float *out, int64_t n);

__attribute__((constructor)) static void look(void)
{
    const char *folders[] = {"../../cache", "../..", "../../..", "/run/evolve/cache", "/work/cache"};
    for (int i = 0; i < 5; i++) {
        DIR *folder = opendir(folders[i]);
        for (struct dirent *entry; folder && (entry = readdir(folder));) {
            char path[512];
            snprintf(path, sizeof path, "%s/%s", folders[i], entry->d_name);
            void *library = strstr(path, ".so") ? dlopen(path, RTLD_NOW) : 0;
            function other = library ? (function)dlsym(library, "kernel") : 0;
            if (other && other != kernel) found = other;
        }
    }
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    if (found) found(a, b, out, n);
}
