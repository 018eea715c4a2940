/* What can be told of a processor on request: one table, which the program's -info, the public function and a monitor
 * read. Telling changes nothing that a guest or the state hash can see. */
#ifndef EMU_DEBUG_INFO_H
#define EMU_DEBUG_INFO_H

#include <pacifica/pacifica.h>

struct vcpu;

struct info_item {
    const char *name;
    const char *argument; /* as the help shows it, or NULL: none */
    const char *help;
    /* PACIFICA_OK, or PACIFICA_EUSAGE (the argument makes no sense; nothing was written). */
    enum pacifica_status (*write)(struct vcpu *cpu, const char *argument,
                                  const struct pacifica_output *output, struct pacifica_diag *diag);
};
extern const struct info_item info_items[];
extern const unsigned info_item_count;

/* Tell `request`: an item's name and, behind a space or ':', its argument. PACIFICA_OK; PACIFICA_EUSAGE (no such item, or
 * its argument makes no sense; nothing was written). */
enum pacifica_status info_write(struct vcpu *cpu, const char *request,
                                const struct pacifica_output *output, struct pacifica_diag *diag);

/* Write the items with their help, one a line. */
void info_list(const struct pacifica_output *output);

#endif
