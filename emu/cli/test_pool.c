/* Running many ROMs at a time, each in a process of its own, which sends its report through a pipe. */
#include "emu/cli/test.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MOST 256u
#define CHUNK_BYTES 65536u

struct pool {
    struct rom_list *list;
    const struct test_options *options;
    size_t started, finished; /* finished: all before have been told of */
    unsigned running, jobs;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Make the report of a ROM that could send none. */
static void set_report(struct rom *rom, const char *words, int number)
{
    FILE *out;
    free(rom->report);
    rom->report = NULL;
    out = open_memstream(&rom->report, &rom->report_size);
    if (out) {
        (void)fprintf(out, words, number);
        (void)fprintf(out, "\n%c", 0); /* and the end of the memory stream is a NUL too */
        (void)fclose(out);
    }
    rom->passed = false;
}

/* The process that runs one ROM. */
static _Noreturn void run_child(const struct rom *rom, const struct test_options *options, int fd)
{
    FILE *out = fdopen(fd, "w");
    bool passed = out && test_run(rom, options, out);
    bool sent = out && fflush(out) == 0 && !ferror(out);
    _exit(passed && sent ? 0 : 1);
}

static bool start(struct pool *pool, struct rom *rom)
{
    int end[2];
    if (pipe(end) != 0)
        return false;
    (void)fflush(NULL);
    rom->ms = now_ms();
    rom->pid = fork();
    if (rom->pid == 0) {
        (void)close(end[0]);
        run_child(rom, pool->options, end[1]);
    }
    (void)close(end[1]);
    rom->fd = end[0];
    if (rom->pid < 0)
        (void)close(end[0]);
    return rom->pid > 0;
}

/* Start what there is room for. Without room for even one, that ROM has failed. */
static void start_some(struct pool *pool)
{
    while (pool->running < pool->jobs && pool->started < pool->list->count) {
        struct rom *rom = &pool->list->rom[pool->started];
        if (start(pool, rom)) {
            pool->running++;
        } else if (pool->running) {
            return; /* again when another has finished */
        } else {
            rom->pid = 0;
            set_report(rom, "cannot start: no process to be had (error %d)", errno);
        }
        pool->started++;
    }
}

static void finish(struct pool *pool, struct rom *rom)
{
    int status = 0;
    (void)close(rom->fd);
    while (waitpid(rom->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    rom->pid = 0;
    rom->ms = now_ms() - rom->ms;
    pool->running--;
    rom->passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (WIFSIGNALED(status))
        set_report(rom, "the emulator crashed: signal %d", WTERMSIG(status));
    else if (!rom->report || rom->report_size < 2 || rom->report[rom->report_size - 1])
        set_report(rom, "the emulator ended with status %d and no report", WEXITSTATUS(status));
}

/* Read what a process has sent; at the end of it, finish. */
static void receive(struct pool *pool, struct rom *rom)
{
    char *more = realloc(rom->report, rom->report_size + CHUNK_BYTES);
    ssize_t got = -1;
    if (more) {
        rom->report = more;
        got = read(rom->fd, rom->report + rom->report_size, CHUNK_BYTES);
        if (got < 0 && errno == EINTR)
            return;
    }
    if (got > 0)
        rom->report_size += (size_t)got;
    else
        finish(pool, rom);
}

static void wait_some(struct pool *pool)
{
    struct pollfd waiting[JOBS_MOST];
    struct rom *rom[JOBS_MOST];
    nfds_t count = 0;
    for (size_t i = pool->finished; i < pool->started && count < pool->running; i++) {
        if (pool->list->rom[i].pid <= 0)
            continue;
        rom[count] = &pool->list->rom[i];
        waiting[count++] = (struct pollfd){ .fd = pool->list->rom[i].fd, .events = POLLIN };
    }
    if (count == 0 || poll(waiting, count, -1) <= 0)
        return;
    for (nfds_t i = 0; i < count; i++)
        if (waiting[i].revents)
            receive(pool, rom[i]);
}

static unsigned default_jobs(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

void test_pool(struct rom_list *list, const struct test_options *options,
               void (*done)(void *self, const struct rom *rom, size_t index), void *self)
{
    struct pool pool = { .list = list, .options = options, .jobs = options->jobs };
    if (pool.jobs == 0)
        pool.jobs = default_jobs();
    if (pool.jobs > JOBS_MOST)
        pool.jobs = JOBS_MOST;
    while (pool.finished < list->count) {
        start_some(&pool);
        wait_some(&pool);
        while (pool.finished < pool.started && list->rom[pool.finished].pid == 0) {
            done(self, &list->rom[pool.finished], pool.finished);
            pool.finished++;
        }
    }
}
