/* Going back in time. */
#include "emu/machine/journal.h"
#include "emu/machine/machine.h"

void machine_change(struct pacifica_machine *machine)
{
    struct journal *journal = machine->journal;
    if (!journal)
        return;
    journal_settle(machine);
    if (!journal_feeds(journal))
        return;
    journal_cut(machine);
    machine_mute(machine, false);
}
