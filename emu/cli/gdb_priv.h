/* What the files of the GDB stub share. */
#ifndef EMU_CLI_GDB_PRIV_H
#define EMU_CLI_GDB_PRIV_H

#include "emu/cli/gdb.h"
#include "emu/cli/gdb_frame.h"
#include "emu/cli/gdb_target.h"
#include "emu/cli/link.h"

#define GDB_BREAKS 256
#define GDB_INPUT 4096

/* Numbers of signals as GDB has them. */
enum gdb_signal {
    GDB_SIGNAL_INT = 2,
    GDB_SIGNAL_ILL = 4,
    GDB_SIGNAL_TRAP = 5,
    GDB_SIGNAL_ABRT = 6
};

/* How the machine is to go on. */
enum gdb_course {
    GDB_COURSE_RUN,
    GDB_COURSE_STEP,  /* processor `cpu` by a step */
    GDB_COURSE_RANGE, /* by steps until it leaves [start, end) */
    GDB_COURSE_BACK,  /* backwards, to a break */
    GDB_COURSE_BACK_STEP
};

struct gdb_resume {
    enum gdb_course course;
    unsigned cpu;
    uint64_t start, end;
};

/* A break that GDB has inserted: the digit of its Z packet, and what makes it another one. */
struct gdb_break {
    char type;
    uint64_t address;
    uint32_t size;
    unsigned id; /* the library's */
};

/* Invariant: input[first..first + count) was read and not taken. `running`: a packet let the machine go, and GDB waits for
 * a reply that tells of its stop. */
struct gdb {
    struct pacifica_machine *machine;
    unsigned cpus;
    struct run_wishes *wishes; /* NULL before gdb_begin() */
    struct gdb_target target;

    struct link *link; /* NULL: standard input and output */
    bool input_open;   /* of standard input */
    bool attached, running;
    bool no_ack, swbreak, hwbreak; /* what GDB has asked for */
    bool leaving;                  /* it was told so: this reply is the last */
    uint64_t end_told_at;     /* the step at which it was told that nothing goes on; UINT64_MAX */
    unsigned cpu, resume_cpu; /* what Hg and Hc have chosen */
    struct gdb_resume resume;
    struct pacifica_result stop; /* the last stop */

    struct gdb_break breaks[GDB_BREAKS];
    unsigned break_count;

    struct monitor monitor;
    bool commanding; /* it executes a command */

    struct gdb_frame frame;
    struct gdb_text reply;
    bool replied; /* `reply` was sent, and may be asked for again */
    char line[GDB_LINE_MOST];
    size_t first, count;
    uint8_t input[GDB_INPUT];
};

/* --- gdb_line.c: the line itself ------------------------------------------------------------ */

enum pacifica_status gdb_line_open(struct gdb *gdb, const struct cli_chardev *chardev,
                                   struct pacifica_diag *diag);
bool gdb_line_connected(const struct gdb *gdb);
int gdb_line_fd(const struct gdb *gdb);

/* Read into the empty input. */
void gdb_line_fill(struct gdb *gdb);

/* Is there room for a packet? */
bool gdb_line_has_room(const struct gdb *gdb);
void gdb_line_write(struct gdb *gdb, const void *bytes, size_t size);
void gdb_line_flush(struct gdb *gdb);

/* Give up this connection; another one may follow. */
void gdb_line_drop(struct gdb *gdb);

/* --- gdb_packets.c: from packet to function --------------------------------------------------- */

/* Carry out the packet in gdb->frame. Returns true if gdb->reply is to be sent now. */
bool gdb_packet(struct gdb *gdb);

/* Each answers a packet, of which `text` is what stands behind its first letters, in gdb->reply. */
typedef void gdb_answer(struct gdb *gdb, const char *text);

void gdb_ok(struct gdb *gdb);

/* "E.TEXT", which GDB shows where it shows errors at all. */
void gdb_fail(struct gdb *gdb, const char *format, ...) EMU_PRINTF(2, 3);
void gdb_fail_diag(struct gdb *gdb, const struct pacifica_diag *diag);

/* "E16" and "E0e": for packets whose errors GDB takes in this form only. */
void gdb_fail_malformed(struct gdb *gdb);
void gdb_fail_memory(struct gdb *gdb);

/* A thread as packets name it: the number of a processor and 1. 0 is any, -1 all: `cpu` stays. False: there is no such one. */
bool gdb_take_thread(const struct gdb *gdb, const char **text, unsigned *cpu, bool *all);

/* --- gdb_memory.c, gdb_breaks.c, gdb_query.c, gdb_transfer.c ---------------------------------------- */

gdb_answer gdb_memory_read, gdb_memory_read_binary, gdb_memory_write, gdb_memory_write_binary;
gdb_answer gdb_break_insert, gdb_break_remove;
gdb_answer gdb_query, gdb_set;
gdb_answer gdb_transfer; /* qXfer: */

#define GDB_THREAD_WORDS 96

/* What a processor does: "CPU 0 [guest ASID 1, runs]". Returns the length. */
int gdb_thread_words(struct gdb *gdb, unsigned cpu, char *words);

/* The break with this number in the library; NULL: GDB has not inserted it. */
const struct gdb_break *gdb_break_find(const struct gdb *gdb, unsigned id);
void gdb_breaks_forget(struct gdb *gdb);

/* --- gdb_resume.c, gdb_stop.c ---------------------------------------------------------------- */

/* vCont, c, s, bc and their like: fill *resume. False: what is wrong is in gdb->reply. */
bool gdb_resume_parse(struct gdb *gdb, struct gdb_resume *resume);

/* Make the reply that tells of gdb->stop. */
void gdb_stop_reply(struct gdb *gdb);

/* Say what people want to know of gdb->stop beyond the reply. */
void gdb_stop_explain(struct gdb *gdb);

/* Say something on GDB's console, as `O` packets. Not while the machine stands still, but during a command. */
void gdb_say(struct gdb *gdb, const void *bytes, size_t size);

/* gdb_back.c: run backwards; what arrives on the line ends it. */
void gdb_back(struct gdb *gdb, struct pacifica_result *result);

#endif
