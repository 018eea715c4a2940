/* The thread that ends a run from outside: after --max-time, or on a signal. */
#ifndef EMU_CLI_WATCHDOG_H
#define EMU_CLI_WATCHDOG_H

#include <pacifica/pacifica.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* Why it ended the run. */
enum watchdog_bite { WATCHDOG_QUIET, WATCHDOG_TIME, WATCHDOG_SIGNAL };

struct watchdog {
    struct pacifica_machine *machine;
    uint64_t max_time_ms; /* 0: no limit */
    pthread_t thread;
    sigset_t signals, pipe, before;
    atomic_int bite;   /* enum watchdog_bite */
    atomic_int signal; /* WATCHDOG_SIGNAL: which */
    atomic_bool ending;
};

/* Start watching; from now on SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGPIPE end the run in good order. false: no thread was to be had. */
bool watchdog_begin(struct watchdog *watchdog, struct pacifica_machine *machine,
                    uint64_t max_time_ms);

/* Has this thread written to a pipe that nobody reads? That ends the run, too. To be called now and then. */
void watchdog_look(struct watchdog *watchdog);

/* Stop watching; the signals work as before. */
void watchdog_end(struct watchdog *watchdog);

#endif
