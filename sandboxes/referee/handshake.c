/* The referee's clock: lets a stopped process run for one command and stops it again, timing from start to standstill.
 *
 * Loaded by the referee; no candidate ever shares a process with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LATE = -1 };

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Stop all threads of `pid` and wait until they stand still; true when it has ended instead (it is left unreaped). */
static int halt(int pid) {
    siginfo_t info = {0};
    kill(pid, SIGSTOP);
    while (waitid(P_PID, pid, &info, WSTOPPED | WEXITED | WNOWAIT) && errno == EINTR);
    if (info.si_code != CLD_STOPPED) return 1;
    return waitid(P_PID, pid, &info, WSTOPPED) != 0;
}

static int64_t listen_to(int answers, char *answer, int64_t room, double seconds) {
    struct pollfd line = {.fd = answers, .events = POLLIN};
    int64_t end = now() + (int64_t)(seconds * 1e9);
    for (;;) {
        int64_t left = (end - now()) / 1000000;
        int ready = poll(&line, 1, left > 0 ? (int)left : 0);
        if (ready > 0) break;
        if (ready == 0 && left <= 0) return LATE;
    }
    int64_t length = read(answers, answer, room);
    return length < 0 ? 0 : length;
}

/* Send `command` and let the process run until it has answered, then stop it. Without a command (`size` 0) it is
 * running already.
 * Returns the length of the answer, 0 when there was none, LATE after `seconds`: then alone it is left running.
 * `elapsed` is in nanoseconds, `ended` true when there is nothing left to stop.
 */
int64_t exchange(int pid, int commands, const char *command, int64_t size, int answers, char *answer, int64_t room,
                 double seconds, int64_t *elapsed, int *ended) {
    if (size && write(commands, command, size) != size && errno != EPIPE) return 0;
    int64_t start = now();
    if (size) kill(pid, SIGCONT);
    int64_t length = listen_to(answers, answer, room, seconds);
    if (length == LATE) return LATE;
    *ended = halt(pid);
    *elapsed = now() - start;
    return length;
}
