/* The monitor: a person or a script commands the machine while it runs. */
#ifndef EMU_CLI_MONITOR_H
#define EMU_CLI_MONITOR_H

#include "emu/cli/files.h"
#include "emu/cli/keys.h"
#include "emu/cli/line_editor.h"
#include "emu/compiler.h"

#define MONITOR_LINE LINE_EDITOR_MOST
#define MONITOR_BREAKS 64u

/* CHOICE: the monitor prompts as QEMU's does, because scripts wait for that. */
#define MONITOR_PROMPT "(qemu) "

struct monitor;

/* The breaks that people have set at monitors. Invariant: of[0..count). */
struct monitor_breaks {
    unsigned count;
    struct {
        unsigned id; /* the library's */
        const struct monitor *by;
    } of[MONITOR_BREAKS];
};

/* What `trace on` has attached; all zero: nothing. */
struct monitor_trace {
    struct pacifica_trace *trace;
    struct output_file file;
};

/* What monitors want of the run; it looks at this between two slices. */
struct run_wishes {
    bool quit, reset;
    bool paused;
    struct key_queue keys;
    unsigned buttons; /* of the mouse that are down, as pacifica_machine_mouse() has them */
    uint64_t steps;   /* where the machine is; a command may have taken it there */
    struct monitor_breaks breaks;
    struct monitor_trace trace;
    bool remembers; /* the machine remembers what `why` and `vmcb diff last` tell */
};

/* Invariant: line[0..length) was typed and has not ended; length < MONITOR_LINE. */
struct monitor {
    struct pacifica_machine *machine;
    struct run_wishes *wishes;
    struct pacifica_output output; /* what it says goes here */
    bool echo;                     /* what is typed, too */
    struct line_editor *editor;    /* of a terminal; NULL: lines are as below */
    bool greeted, carriage_return;
    unsigned cpu, cpus; /* the processor that `info` tells about, and how many there are */
    char line[MONITOR_LINE];
    size_t length;
};

/* The input turns to the monitor: it says who it is, once, and prompts. */
void monitor_greet(struct monitor *monitor);

/* Tell something that nobody has asked for: lines. At a terminal the prompt comes again below it. */
void monitor_tell(struct monitor *monitor, const char *text);

/* Take what was typed; the end of a line executes it. */
void monitor_byte(struct monitor *monitor, uint8_t byte);

/* Say something, as printf does; at most 500 characters. */
void monitor_say(const struct monitor *monitor, const char *format, ...) EMU_PRINTF(2, 3);

/* monitor_see.c: end what `trace on` has begun. */
void monitor_trace_end(struct monitor_trace *trace);

/* monitor_commands.c: execute a line. */
void monitor_execute(struct monitor *monitor, char *line);

#endif
