/* The thread that ends a run from outside. It waits for signals, which all threads block, with a time limit: so
 * nothing needs a signal handler and the globals that handlers lead to. */
#include "emu/cli/watchdog.h"

#include <errno.h>
#include <time.h>

#define SIGNAL_QUIT SIGUSR1 /* watchdog_end() to the thread */

/* What is left until `end`, at least nothing. */
static struct timespec time_left(const struct timespec *end)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    struct timespec left = { .tv_sec = end->tv_sec - now.tv_sec,
                             .tv_nsec = end->tv_nsec - now.tv_nsec };
    if (left.tv_nsec < 0) {
        left.tv_sec--;
        left.tv_nsec += 1000000000;
    }
    return left.tv_sec < 0 ? (struct timespec){ 0 } : left;
}

static void bite(struct watchdog *watchdog, enum watchdog_bite why)
{
    atomic_store(&watchdog->bite, why);
    pacifica_machine_stop(watchdog->machine);
}

static void *watch(void *self)
{
    struct watchdog *watchdog = self;
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(watchdog->max_time_ms / 1000);
    end.tv_nsec += (long)(watchdog->max_time_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    bool limited = watchdog->max_time_ms != 0;
    for (;;) {
        struct timespec left = time_left(&end);
        int got = sigtimedwait(&watchdog->signals, NULL, limited ? &left : NULL);
        if (got == SIGNAL_QUIT && atomic_load(&watchdog->ending))
            return NULL;
        if (got == SIGNAL_QUIT) /* somebody else's */
            continue;
        if (got > 0) {
            atomic_store(&watchdog->signal, got);
            bite(watchdog, WATCHDOG_SIGNAL);
        } else if (errno == EAGAIN && limited) {
            limited = false;
            bite(watchdog, WATCHDOG_TIME);
        }
    }
}

/* Is a signal ignored from the outset, as by nohup? */
static bool is_ignored(int signal)
{
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

bool watchdog_begin(struct watchdog *watchdog, struct pacifica_machine *machine,
                    uint64_t max_time_ms)
{
    watchdog->machine = machine;
    watchdog->max_time_ms = max_time_ms;
    atomic_init(&watchdog->bite, WATCHDOG_QUIET);
    atomic_init(&watchdog->signal, 0);
    atomic_init(&watchdog->ending, false);
    (void)sigemptyset(&watchdog->signals);
    (void)sigaddset(&watchdog->signals, SIGINT);
    (void)sigaddset(&watchdog->signals, SIGTERM);
    (void)sigaddset(&watchdog->signals, SIGNAL_QUIT);
    if (!is_ignored(SIGHUP))
        (void)sigaddset(&watchdog->signals, SIGHUP);
    if (!is_ignored(SIGQUIT))
        (void)sigaddset(&watchdog->signals, SIGQUIT);
    (void)sigemptyset(&watchdog->pipe);
    if (!is_ignored(SIGPIPE))
        (void)sigaddset(&watchdog->pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &watchdog->signals, &watchdog->before);
    (void)pthread_sigmask(SIG_BLOCK, &watchdog->pipe, NULL);
    if (pthread_create(&watchdog->thread, NULL, watch, watchdog) == 0)
        return true;
    (void)pthread_sigmask(SIG_SETMASK, &watchdog->before, NULL);
    return false;
}

/* SIGPIPE reaches the thread that writes, so the other one cannot wait for it. */
void watchdog_look(struct watchdog *watchdog)
{
    const struct timespec now = { 0 };
    if (sigtimedwait(&watchdog->pipe, NULL, &now) != SIGPIPE)
        return;
    atomic_store(&watchdog->signal, SIGPIPE);
    bite(watchdog, WATCHDOG_SIGNAL);
}

void watchdog_end(struct watchdog *watchdog)
{
    atomic_store(&watchdog->ending, true);
    (void)pthread_kill(watchdog->thread, SIGNAL_QUIT);
    (void)pthread_join(watchdog->thread, NULL);
    watchdog_look(watchdog);
    (void)pthread_sigmask(SIG_SETMASK, &watchdog->before, NULL);
}
