/* Silence: what a machine does a second time is not told a second time. */
#ifndef EMU_MACHINE_MUTE_H
#define EMU_MACHINE_MUTE_H

#include <pacifica/pacifica.h>

struct pacifica_machine;

#define MUTE_OUTPUTS 10u

/* What the outputs were before they fell silent. */
struct mute {
    bool on;
    struct pacifica_output was[MUTE_OUTPUTS];
};

/* Let serial lines, debug consoles, traces and statistics fall silent, or speak again. Frames: journal_send_begin(). */
void machine_mute(struct pacifica_machine *machine, bool on);

#endif
