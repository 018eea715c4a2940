/* Options about networks. */
#ifndef EMU_CLI_NET_OPTIONS_H
#define EMU_CLI_NET_OPTIONS_H

#include "emu/cli/options_priv.h"

/* -device NAME,REST, if it is a network card. false: it is none. */
bool net_device_option(struct parse *parse, const char *name, const char *rest,
                       enum pacifica_status *status);

/* Join cards and networks, when all are known. */
enum pacifica_status nets_check(struct parse *parse);

#endif
