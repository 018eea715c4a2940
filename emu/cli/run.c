/* Running the machine and telling how it ended. */
#include "emu/cli/console.h"
#include "emu/cli/pace.h"
#include "emu/cli/screen.h"
#include "emu/cli/session.h"
#include "emu/cli/snapshots.h"
#include "emu/cli/watchdog.h"

#include "emu/base/diag.h"

#include <inttypes.h>
#include <signal.h>

/* Steps between two looks at input and output: some milliseconds. */
#define SLICE_STEPS UINT64_C(1000000)
#define SLICE_STEPS_BUSY UINT64_C(50000) /* while a network has to do with the outside */

void cli_complain(const struct pacifica_diag *diag)
{
    (void)fprintf(stderr, "pacifica: %s%s%s%s%s%s\n", diag->where, diag->where[0] ? ": " : "",
                  diag->what, diag->hint[0] ? " (" : "", diag->hint, diag->hint[0] ? ")" : "");
}

/* What a stop means for the run: go on, or end. */
static bool goes_on(struct session *session, struct console *console,
                    const struct watchdog *watchdog, struct pacifica_result *result)
{
    const struct cli_options *o = session->options;
    switch (result->stop) {
    case PACIFICA_STOP_BREAK:
    case PACIFICA_STOP_STEP:
    case PACIFICA_STOP_BEGINNING:
    case PACIFICA_STOP_REPLAYED:
    case PACIFICA_STOP_SHUTDOWN:
    case PACIFICA_STOP_UNIMPLEMENTED:
    case PACIFICA_STOP_WATCH: return console_holds(console, result);
    case PACIFICA_STOP_LIMIT_INSNS: return result->steps < o->max_steps;
    case PACIFICA_STOP_LIMIT_TIME: return true;
    case PACIFICA_STOP_HALTED:
        if (o->replay) /* it went on */
            return true;
        if (nets_may_wake(&session->nets))
            nets_wait(&session->nets);
        else if (!console_may_wake(console))
            return console_holds(console, result);
        else if (!o->realtime)
            console_wait(console, CONSOLE_MOMENT_MS);
        return true;
    case PACIFICA_STOP_REQUEST: return watchdog->bite == WATCHDOG_QUIET && !console->wishes.quit;
    case PACIFICA_STOP_RESET:
        if (o->no_reboot)
            return false;
        return pacifica_machine_reset(session->machine, &result->diag) == PACIFICA_OK;
    default: return false;
    }
}

/* Save one file whose time may have come; `steps` is CLI_AT_END at the end. */
static void save_one(struct session *session, const struct cli_save_at *save, bool *done,
                     uint64_t steps,
                     enum pacifica_status (*write)(struct pacifica_machine *machine,
                                                   const char *path, struct pacifica_diag *diag))
{
    struct pacifica_diag diag = { 0 };
    enum pacifica_status status = PACIFICA_OK;
    if (*done || save->at > steps)
        return;
    *done = true;
    if (steps == CLI_AT_END && save->at != CLI_AT_END)
        status = diag_set(&diag, PACIFICA_ERANGE, save->path, "'end:' instead of a number",
                          "not saved: the run ended before step %" PRIu64, save->at);
    else
        status = write(session->machine, save->path, &diag);
    if (status == PACIFICA_OK)
        return;
    cli_complain(&diag);
    session->screendump_failed = true;
}

static enum pacifica_status save_screen(struct pacifica_machine *machine, const char *path,
                                        struct pacifica_diag *diag)
{
    return screen_save(machine, path, diag);
}

/* Save the pictures and snapshots whose time has come. */
static void save_files(struct session *session, uint64_t steps)
{
    const struct cli_options *o = session->options;
    for (unsigned i = 0; i < o->screendump_count; i++)
        save_one(session, &o->screendump[i], &session->screendump_done[i], steps, save_screen);
    for (unsigned i = 0; i < o->savevm_count; i++)
        save_one(session, &o->savevm[i], &session->savevm_done[i], steps, snapshot_save_file);
}

/* The end of the next slice: output, input and pictures wait for it. */
static uint64_t next_end(const struct session *session, uint64_t steps)
{
    const struct cli_options *o = session->options;
    uint64_t slice = nets_busy(&session->nets) ? SLICE_STEPS_BUSY : SLICE_STEPS;
    uint64_t end = o->max_steps - steps < slice ? o->max_steps : steps + slice;
    for (unsigned i = 0; i < o->screendump_count; i++)
        if (o->screendump[i].at > steps && o->screendump[i].at < end)
            end = o->screendump[i].at;
    for (unsigned i = 0; i < o->savevm_count; i++)
        if (o->savevm[i].at > steps && o->savevm[i].at < end)
            end = o->savevm[i].at;
    return end;
}

/* Input is taken, and what monitors want goes before a slice. Returns false if result->stop came of that. */
static bool heed_console(struct console *console, struct watchdog *watchdog,
                         struct pacifica_result *result)
{
    struct run_wishes *wishes = &console->wishes;
    console_feed(console);
    watchdog_look(watchdog);
    while (wishes->paused && !wishes->quit && !wishes->reset && watchdog->bite == WATCHDOG_QUIET) {
        console_wait(console, CONSOLE_MOMENT_MS);
        console_feed(console);
    }
    if (wishes->quit)
        result->stop = PACIFICA_STOP_REQUEST;
    else if (wishes->reset)
        result->stop = PACIFICA_STOP_RESET;
    bool run = !wishes->quit && !wishes->reset;
    wishes->reset = false;
    result->steps = wishes->steps;
    return run;
}

/* One line when there is no memory for checkpoints any more. */
static void look_at_travel(struct session *session)
{
    uint64_t first, latest;
    if (!session->options->travel || session->travel_told ||
        pacifica_travel_range(session->machine, &first, &latest))
        return;
    session->travel_told = true;
    (void)fprintf(stderr, "pacifica: --travel: no memory for a checkpoint: from here on nobody can "
                          "go back\n");
}

/* Run slice by slice until something ends the run. How it is sliced changes nothing the guest can see. */
static void run_slices(struct session *session, struct watchdog *watchdog, struct window *window,
                       struct pacifica_result *result)
{
    const struct cli_options *o = session->options;
    struct pacifica_limits limits = PACIFICA_LIMITS_INIT;
    struct console console = { 0 };
    struct pace pace;
    limits.exact_blocks = o->exact_blocks;
    limits.drop_fast_every = o->drop_fast_every;
    *result = (struct pacifica_result){ 0 };
    console_begin(&console, session, window);
    save_files(session, 0);
    pace_begin(&pace, o->realtime && !o->replay);
    do {
        if (!heed_console(&console, watchdog, result))
            continue;
        limits.max_steps = next_end(session, result->steps);
        limits.max_ns = pace_end_ns(&pace, result->now_ns);
        if (!gdb_run(session->gdb, &limits, result))
            pacifica_machine_run(session->machine, &limits, result);
        console.wishes.steps = result->steps;
        session_flush(session);
        look_at_travel(session);
        nets_look(&session->nets);
        save_files(session, result->steps);
        unsigned ahead_ms = pace_ahead_ms(&pace, result->now_ns);
        if (ahead_ms && watchdog->bite == WATCHDOG_QUIET)
            console_wait(&console, ahead_ms);
    } while (goes_on(session, &console, watchdog, result));
    save_files(session, CLI_AT_END);
    console_end(&console);
}

/* "pacifica: WHAT at CS:RIP" */
static void tell_stop(const struct pacifica_diag *diag)
{
    (void)fprintf(stderr, "pacifica: %s%s%s\n", diag->what, diag->where[0] ? " at " : "",
                  diag->where);
}

static int status_of(const struct session *session, const struct watchdog *watchdog,
                     const struct pacifica_result *result)
{
    const struct cli_options *o = session->options;
    switch (result->stop) {
    case PACIFICA_STOP_EXIT: return (int)((result->exit_value << 1 | 1) & 0xff);
    case PACIFICA_STOP_RESET: return o->no_reboot ? CLI_STATUS_OK : CLI_STATUS_USAGE;
    case PACIFICA_STOP_POWER_OFF: return CLI_STATUS_OK;
    case PACIFICA_STOP_LIMIT_INSNS: return CLI_STATUS_LIMIT;
    case PACIFICA_STOP_UNIMPLEMENTED: return CLI_STATUS_UNIMPLEMENTED;
    case PACIFICA_STOP_SHUTDOWN:
        return o->qemu_exit_codes && o->no_reboot ? CLI_STATUS_OK : CLI_STATUS_SHUTDOWN;
    case PACIFICA_STOP_HALTED: return CLI_STATUS_SHUTDOWN;
    case PACIFICA_STOP_WATCH: return CLI_STATUS_STOP_ON;
    case PACIFICA_STOP_REPLAYED: return result->diag.hint[0] ? CLI_STATUS_USAGE : CLI_STATUS_OK;
    default: return watchdog->bite == WATCHDOG_TIME ? CLI_STATUS_LIMIT : CLI_STATUS_OK;
    }
}

static bool is_trouble(const struct session *session, const struct watchdog *watchdog,
                       const struct pacifica_result *result)
{
    if (result->stop == PACIFICA_STOP_EXIT)
        return result->exit_value != 0;
    return status_of(session, watchdog, result) != CLI_STATUS_OK;
}

/* The line that explains an end which the guest did not choose. */
static void tell_end(const struct session *session, const struct watchdog *watchdog,
                     const struct pacifica_result *result)
{
    const char *name = NULL;
    switch (result->stop) {
    case PACIFICA_STOP_EXIT:
    case PACIFICA_STOP_POWER_OFF: return;
    case PACIFICA_STOP_RESET:
        if (!session->options->no_reboot)
            cli_complain(&result->diag); /* the image cannot be loaded again */
        return;
    case PACIFICA_STOP_LIMIT_INSNS: name = "--max-insns"; break;
    case PACIFICA_STOP_REQUEST:
        if (watchdog->bite == WATCHDOG_TIME)
            (void)fprintf(stderr, "pacifica: time limit reached (--max-time)\n");
        return;
    default: break;
    }
    struct pacifica_diag diag = result->diag;
    if (name)
        (void)snprintf(diag.what, sizeof(diag.what), "%.200s (%s)", result->diag.what, name);
    tell_stop(&diag);
}

static void write_stderr(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)fwrite(bytes, 1, size, stderr);
}

/* What --info asks for, of every processor. */
static void tell_info(struct session *session)
{
    const struct pacifica_output to_stderr = { .write = write_stderr };
    const struct cli_options *o = session->options;
    for (unsigned cpu = 0; cpu < o->cpus; cpu++)
        for (unsigned i = 0; i < o->info_count; i++) {
            (void)fprintf(stderr, "pacifica: processor %u: %s\n", cpu, o->info[i]);
            (void)pacifica_machine_info(session->machine, cpu, o->info[i], &to_stderr, NULL);
        }
}

/* An end that is no success: the last events of --trace-ring tell how it came to that. */
static void dump_trace(struct session *session, const struct watchdog *watchdog,
                       const struct pacifica_result *result)
{
    if (session->trace_client && is_trouble(session, watchdog, result))
        (void)pacifica_trace_dump(session->trace_client,
                                  result->diag.what[0] ? result->diag.what : "the run has failed");
}

/* What --exit-stats and --state-hash ask for. bench/run reads the two lines about steps and memory. */
static void tell_numbers(struct session *session, const struct pacifica_result *result)
{
    const struct pacifica_output to_stderr = { .write = write_stderr };
    if (session->options->exit_stats) {
        pacifica_exit_stats_write(session->stats, &to_stderr);
        pacifica_tlb_stats_write(session->machine, &to_stderr);
        (void)fprintf(stderr, "pacifica: %" PRIu64 " steps, %" PRIu64 " instructions\n",
                      result->steps, result->instructions);
        (void)fprintf(stderr, "pacifica: guest memory %" PRIu64 " KiB resident\n",
                      pacifica_machine_memory_resident_kib(session->machine));
    }
    if (session->options->state_hash)
        (void)fprintf(stderr, "pacifica: state hash %016" PRIx64 "\n",
                      pacifica_machine_state_hash(session->machine));
}

/* Run with the window that -display wants. False: there is none to be had, and it was told. Its threads inherit the signals
 * that the watchdog has blocked. */
static bool run_window(struct session *session, struct watchdog *watchdog,
                       struct pacifica_result *result)
{
    struct window *window = NULL;
    struct pacifica_diag diag = { 0 };
    if (session->options->window && window_open(&window, session->machine, &diag) != PACIFICA_OK) {
        cli_complain(&diag);
        return false;
    }
    run_slices(session, watchdog, window, result);
    window_close(window);
    return true;
}

int session_run(struct session *session, int *signal)
{
    struct watchdog watchdog;
    struct pacifica_result result;
    bool watched = watchdog_begin(&watchdog, session->machine, session->options->max_time_ms);
    if (!watched && session->options->max_time_ms) {
        (void)fprintf(stderr, "pacifica: --max-time: no thread to be had\n");
        return CLI_STATUS_USAGE;
    }
    bool shown = run_window(session, &watchdog, &result);
    if (watched)
        watchdog_end(&watchdog);
    *signal = watchdog.signal;
    if (!shown)
        return CLI_STATUS_USAGE;
    tell_end(session, &watchdog, &result);
    dump_trace(session, &watchdog, &result);
    tell_info(session);
    tell_numbers(session, &result);
    int status =
        session->screendump_failed ? CLI_STATUS_USAGE : status_of(session, &watchdog, &result);
    gdb_ended(session->gdb, status, *signal);
    return status;
}
