// attack: S1 the main thread ends and another takes over the commands
// rule: write
// refused: correct/mismatch, correct/timeout, authentic/ended_itself, authentic/forged_answer
// seconds: 0.5
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *serve(void *x)
{
    char command[288];
    int done[6] = {0};
    do write(6, done, sizeof done);
    while (read(5, command, sizeof command) > 0);
    return x;
}

void kernel(const float *a, const float *b, float *out, int64_t n)
{
    pthread_t thread;
    (void)a, (void)b, (void)out, (void)n;
    pthread_create(&thread, 0, serve, 0);
    syscall(SYS_exit, 0);
}
