/* Handler of -smp: how many processors, and how they would sit in sockets. */
#include "emu/cli/options_priv.h"

#include "emu/base/diag.h"

#include <string.h>

enum { CPUS, MAXCPUS, SOCKETS, DIES, CORES, THREADS, KEYS };

/* What the parts of the value say; 0: nothing. */
static enum pacifica_status parse_counts(struct parse *parse, const char *value,
                                         uint64_t count[KEYS])
{
    static const char *const keys[KEYS] = {
        "cpus", "maxcpus", "sockets", "dies", "cores", "threads"
    };
    const char *rest = value;
    while (rest) {
        const char *part = words_next(&parse->options->words, &rest);
        if (!part)
            return diag_set(parse->diag, PACIFICA_ENOMEM, NULL, NULL, "no memory");
        int key = 0;
        while (key < KEYS && !word_value(part, keys[key]))
            key++;
        const char *number = key < KEYS ? word_value(part, keys[key]) : part;
        uint64_t *to = &count[key < KEYS ? key : CPUS];
        if (!word_number(number, to) || *to == 0)
            return option_bad(parse, value, "no number of processors");
        if (*to > PACIFICA_CPUS_MOST)
            return option_bad(parse, value, "too many processors: there can be 64");
    }
    return PACIFICA_OK;
}

/* As in QEMU the product of sockets, dies, cores and threads is `maxcpus`, which is `cpus` unless it is given, and of
 * the four what is not given is 1, but sockets as many as there must be. The places themselves have no effect. */
enum pacifica_status option_smp(struct parse *parse, const char *value)
{
    uint64_t count[KEYS] = { 0 };
    enum pacifica_status status = parse_counts(parse, value, count);
    if (status != PACIFICA_OK)
        return status;
    uint64_t in_socket = 1; /* at most 64 to the third power */
    for (int key = DIES; key < KEYS; key++)
        in_socket *= count[key] ? count[key] : 1;
    uint64_t most = count[MAXCPUS] ? count[MAXCPUS] : count[CPUS];
    if (most == 0)
        most = in_socket * (count[SOCKETS] ? count[SOCKETS] : 1);
    uint64_t sockets = count[SOCKETS] ? count[SOCKETS] : most / in_socket;
    uint64_t cpus = count[CPUS] ? count[CPUS] : most;
    if (sockets * in_socket != most)
        return option_bad(parse, value,
                          "no possible topology: sockets * dies * cores * threads is not maxcpus");
    if (cpus > most)
        return option_bad(parse, value, "more processors than maxcpus");
    if (cpus > PACIFICA_CPUS_MOST)
        return option_bad(parse, value, "too many processors: there can be 64");
    parse->options->cpus = (uint32_t)cpus;
    return PACIFICA_OK;
}
