/* Silence while something is executed again. */
#include "emu/machine/mute.h"

#include "emu/machine/machine.h"

static void swallow(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)bytes;
    (void)size;
}

/* What goes nowhere stays as it is: its device does not even ask. */
static void mute_one(struct pacifica_output *output, struct pacifica_output *was, bool on)
{
    if (on)
        *was = *output;
    if (on && output->write)
        output->write = swallow;
    if (!on)
        *output = *was;
}

void machine_mute(struct pacifica_machine *machine, bool on)
{
    struct mute *mute = &machine->mute;
    static_assert(MACHINE_DEVICES + 2 == MUTE_OUTPUTS, "one for each output");
    if (mute->on == on)
        return;
    mute->on = on;
    mute_one(&machine->serial, &mute->was[0], on);
    mute_one(&machine->serial2, &mute->was[1], on);
    for (unsigned i = 0; i < MACHINE_DEVICES; i++)
        mute_one(&machine->debugcon[i], &mute->was[2 + i], on);
    probes_mute(&machine->probes, on);
}
