/* The journal of a machine: what enters it from outside, in order and with the moments at which it entered. One journal serves
 * recording, replaying and going back.
 *
 * A moment is a count of steps and one of turns: together they say where all processors are, as the order of their turns is a function of the
 * image. The second is for waits, in which turns pass and no steps. So that there is one such moment between two steps,
 * a machine that has stopped in another way is first brought to where a limit of steps would have
 * stopped it (journal_admit()), which no guest can see: there the turn of the next processor has begun, and deadlines that
 * were due have fired. */
#ifndef EMU_MACHINE_JOURNAL_H
#define EMU_MACHINE_JOURNAL_H

#include <pacifica/pacifica.h>

struct pacifica_machine;
struct run_limits;

/* These numbers stand in recordings. */
enum input_kind {
    INPUT_SERIAL,         /* bytes for COM1 */
    INPUT_COM2,           /* and for COM2 */
    INPUT_FRAME,          /* index: the card */
    INPUT_KEY,            /* a: its usage, b: it goes down */
    INPUT_MOUSE,          /* a: dx, dy; b: dz, buttons: 32 bits each */
    INPUT_SIGNAL,         /* index: the processor, a: enum pacifica_signal */
    INPUT_RESET,          /* pacifica_machine_reset() */
    INPUT_TIME_LIMIT,     /* a run begins that is to end at time a */
    INPUT_TIME_LIMIT_END, /* that run has ended */
    INPUT_REGISTER,       /* a debugger: index: the processor, a: the register, and its bytes */
    INPUT_MEMORY, /* and memory: index: the processor, a: enum pacifica_space, b: address, and bytes */
    INPUT_MARK, /* nothing: the run has come so far */
    INPUT_CUT,  /* recordings only: of what was written so far the first `a` inputs count */
    INPUT_KINDS
};

enum input_place {
    PLACE_STEPS,  /* where a limit of steps stops */
    PLACE_HALTED, /* after STOP_HALTED */
    PLACE_TIME,   /* after STOP_LIMIT_TIME */
    PLACE_ENDED,  /* after a stop behind which only a reset goes on */
    PLACE_SAME,   /* where the input before it has entered */
    PLACE_SEND, /* in the middle of a step: while the cards of the machine send their b-th frame, from 1 */
    INPUT_PLACES
};

#define INPUT_BYTES_MOST 4096u /* longer ones are cut into several */
#define INPUT_ANY_TIME UINT64_MAX

struct input {
    enum input_kind kind;
    enum input_place place;
    uint16_t index;
    uint64_t steps, turn;
    uint64_t
        now_ns; /* it tells whether a run is still as the recorded one was; or INPUT_ANY_TIME */
    uint64_t a, b;
    uint32_t size;
    const uint8_t *data;
    bool owned; /* data is the journal's */
};

/* Invariants: `next` <= count. What is before `next` has entered the machine as it is now. past: input[present] is the mark at
 * which the machine was when it last went on without being fed. */
struct journal {
    struct input *input; /* empty if nothing but a recording is made */
    size_t count, room, next;
    bool keep;   /* inputs are kept */
    bool failed; /* one could not be: no memory */
    bool past;
    size_t present;
    bool left;              /* the run did not go as it is written down */
    bool replay;            /* callers' input is ignored, until `next` is count */
    enum input_place place; /* where the last run has ended, if `settled` */
    bool settled;           /* that is a moment at which inputs may enter */
    bool ran;               /* something ran since the last input entered */
    uint64_t sends;         /* frames that the cards have sent */
    bool sending;           /* they are sending one */

    bool recording;
    struct pacifica_output output;
    uint64_t written, alive; /* inputs: in the recording, and those of them that were not cut off */
    uint64_t written_steps;  /* moment of the last */
};

/* The journal of a machine, made if there is none. NULL without memory. */
struct journal *journal_of(struct pacifica_machine *machine);
void journal_end(struct pacifica_machine *machine); /* a recording ends here; free the journal */

/* Is anything left that is to enter by itself? */
static inline bool journal_feeds(const struct journal *journal)
{
    return journal->next < journal->count;
}

/* To be asked before the outside does something to the machine. */
enum admission {
    ADMIT,        /* it may; journal_note() it afterwards, if it had an effect */
    ADMIT_IGNORE, /* a recording is replayed */
    ADMIT_REFUSE  /* the machine is in the past */
};
enum admission journal_admit(struct pacifica_machine *machine);

/* Is this kind of input what enters next by itself, where the machine is? */
bool journal_is_next(const struct pacifica_machine *machine, enum input_kind kind);

/* Write down what has entered; kind, index, a, b, data and size count, and data is copied. */
void journal_note(struct pacifica_machine *machine, const struct input *input);

/* Where the machine is: input[next - 1] is a mark then. */
void journal_mark(struct pacifica_machine *machine);

/* The run has come so far: a mark, if nothing has been written for long or if the stop is one to remember. */
void journal_progress(struct pacifica_machine *machine, enum pacifica_stop stop);

/* A change in the past: what came behind never was. */
void journal_cut(struct pacifica_machine *machine);

/* A card sends a frame: what entered while it did enters again. Returns whether the outside hears of it. */
bool journal_send_begin(struct pacifica_machine *machine);
void journal_send_end(struct pacifica_machine *machine);

/* Bring the machine to a moment at which inputs may enter. */
void journal_settle(struct pacifica_machine *machine);

/* What machine_run_to() came to. */
void journal_stopped(struct pacifica_machine *machine, enum pacifica_stop stop);

/* feed.c: run as far as `limits` say, by what is left of the journal. STOP_NONE: nothing is, or the present is reached and
 * no more was wanted. */
enum pacifica_stop machine_feed(struct pacifica_machine *machine, const struct run_limits *limits,
                                bool to_present);

/* feed.c: let an input enter as it has before. false: it did not: the run is not what it was. */
bool journal_enter(struct pacifica_machine *machine, const struct input *input);

/* --- recordings (journal_file.c) --------------------------------------------------------- */

#define RECORDING_VERSION 1u

/* The beginning: who the machine is, as text. */
void recording_write_head(const struct pacifica_output *output, const char *text);
/* The `ordinal`-th input, from 0. */
void recording_write(const struct pacifica_output *output, uint64_t ordinal,
                     const struct input *input);

/* Take a recording apart. The inputs' data lie in it.
 * text   receives a copy of the description
 * On success `diag` has text if the last input is not whole, which is left out. On failure nothing is left behind. */
enum pacifica_status recording_parse(const struct pacifica_bytes *recording, char **text,
                                     struct input **input, size_t *count,
                                     struct pacifica_diag *diag);

#endif
