/* The thread that ends a run from outside: after --max-time, or on SIGINT and SIGTERM. */
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
    sigset_t signals, before;
    atomic_int bite;   /* enum watchdog_bite */
    atomic_int signal; /* WATCHDOG_SIGNAL: which */
};

/* Start watching; from now on SIGINT and SIGTERM end the run in good order. false: no thread was to be had. */
bool watchdog_begin(struct watchdog *watchdog, struct pacifica_machine *machine,
                    uint64_t max_time_ms);

/* Stop watching; the signals work as before. */
void watchdog_end(struct watchdog *watchdog);

#endif
