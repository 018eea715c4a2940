/* Addresses as people give them to monitors. */
#ifndef EMU_CLI_MONITOR_ADDRESS_H
#define EMU_CLI_MONITOR_ADDRESS_H

#include "emu/cli/monitor.h"

struct monitor_address {
    enum pacifica_space space;
    uint64_t address;
};

/* [SPACE:]VALUE[+VALUE|-VALUE]: a space is phys, host, guest or gpa, a value is a number or the name of a register, with or without $. `space` is what it
 * means without one. False: it makes no sense, which was told. */
bool monitor_take_address(const struct monitor *monitor, const char *text,
                          enum pacifica_space space, struct monitor_address *address);

#endif
