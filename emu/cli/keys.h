/* Keys by name, and key strokes on their way to the machine. */
#ifndef EMU_CLI_KEYS_H
#define EMU_CLI_KEYS_H

#include <pacifica/pacifica.h>

#define KEYS_CHORD 16  /* keys pressed together */
#define KEYS_QUEUE 256 /* presses and releases that wait */

/* The USB usage of a key that has QEMU's name (`a`, `ret`, `ctrl`, `f1`), or 0: there is none. */
unsigned key_usage(const char *name, size_t length);

/* Strokes that wait: a guest must have time to read them. Invariant: event[first..first + count), modulo KEYS_QUEUE. */
struct key_queue {
    struct {
        uint16_t usage;
        bool down;
    } event[KEYS_QUEUE];
    unsigned first, count;
};

/* Queue a chord as `ctrl-alt-delete`: all keys down, then up in the reverse order. PACIFICA_EUSAGE: an unknown key or too many
 * of them; PACIFICA_ERANGE: too much waits. On failure nothing is queued. */
enum pacifica_status keys_chord(struct key_queue *queue, const char *names,
                                struct pacifica_diag *diag);

/* Hand the next press or release to the machine. */
void keys_feed(struct key_queue *queue, struct pacifica_machine *machine);

#endif
