/* Running backwards. It may take long, and the library returns only when it is done or asked to stop; so a thread looks at the line. */
#include "emu/cli/gdb_priv.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

struct lookout {
    struct pacifica_machine *machine;
    int line, end[2]; /* a pipe: bytes in end[0] are the end of the lookout */
    pthread_t thread;
};

/* GDB sends nothing while it waits, but Ctrl-C; and a line that has ended is readable, too. */
static void *look(void *self)
{
    struct lookout *lookout = self;
    struct pollfd polls[] = { { .fd = lookout->line, .events = POLLIN },
                              { .fd = lookout->end[0], .events = POLLIN } };
    while (poll(polls, 2, -1) < 0)
        continue;
    if (polls[0].revents)
        pacifica_machine_stop(lookout->machine);
    return NULL;
}

static bool begin(struct lookout *lookout, struct gdb *gdb)
{
    lookout->machine = gdb->machine;
    lookout->line = gdb_line_fd(gdb);
    if (lookout->line < 0 || pipe(lookout->end) != 0)
        return false;
    if (pthread_create(&lookout->thread, NULL, look, lookout) == 0)
        return true;
    (void)close(lookout->end[0]);
    (void)close(lookout->end[1]);
    return false;
}

static void end(struct lookout *lookout)
{
    (void)!write(lookout->end[1], "", 1);
    (void)pthread_join(lookout->thread, NULL);
    (void)close(lookout->end[0]);
    (void)close(lookout->end[1]);
}

void gdb_back(struct gdb *gdb, struct pacifica_result *result)
{
    struct lookout lookout;
    struct pacifica_diag diag = { 0 };
    enum pacifica_status status;
    bool looking = begin(&lookout, gdb);
    if (gdb->resume.course == GDB_COURSE_BACK)
        status = pacifica_travel_back(gdb->machine, result, &diag);
    else
        status = pacifica_travel_back_step(gdb->machine, gdb->resume.cpu, result, &diag);
    if (looking)
        end(&lookout);
    if (status == PACIFICA_OK)
        return;
    result->stop = PACIFICA_STOP_BEGINNING;
    result->cpu = gdb->resume.cpu;
    result->diag = diag;
}
