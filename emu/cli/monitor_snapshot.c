/* The monitor's savevm and loadvm. */
#include "emu/cli/monitor_commands.h"
#include "emu/cli/snapshots.h"

void monitor_savevm(struct monitor *monitor, const char *argument)
{
    struct pacifica_diag diag = { 0 };
    if (snapshot_save_file(monitor->machine, argument, &diag) != PACIFICA_OK)
        monitor_complain(monitor, &diag);
}

void monitor_loadvm(struct monitor *monitor, const char *argument)
{
    struct pacifica_diag diag = { 0 };
    if (snapshot_load_file(monitor->machine, argument, &diag) != PACIFICA_OK)
        monitor_complain(monitor, &diag);
}
