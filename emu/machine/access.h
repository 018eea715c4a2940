/* Memory as debuggers ask for it: by any space, without effects. */
#ifndef EMU_MACHINE_ACCESS_H
#define EMU_MACHINE_ACCESS_H

#include <pacifica/pacifica.h>

#include "emu/machine/machine.h"
#include "paging/paging.h"

/* How the addresses of a space become system physical ones. */
struct access_view {
    bool physical;  /* they are system physical addresses */
    bool is_linear; /* they are linear: cut to 32 bits, or canonical */
    bool nested;
    struct walk_regime regime, nested_regime;
};

/* The view of a space now. NULL, or why there is no such level. Changes nothing. */
const char *access_view(struct vcpu *cpu, enum pacifica_space space, struct access_view *view);

/* Translate one address by it: res.status and res.spa. `log` may be NULL. false: not canonical, so nothing was walked. */
bool access_walk(const struct vcpu *cpu, const struct access_view *view, uint64_t address,
                 struct walk_log *log, struct walk_result *res);

/* Copy from and to memory as pacifica_machine_memory_read() and _write() do. Memory is what memory_get_view() says: the
 * caller has called smm_view(). */
size_t access_read(struct vcpu *cpu, enum pacifica_space space, uint64_t address, void *to,
                   size_t size);
size_t access_write(struct vcpu *cpu, enum pacifica_space space, uint64_t address, const void *from,
                    size_t size);

/* One register of the table, as in pacifica/debug.h. NULL, or why a value cannot be. */
void register_get(struct vcpu *cpu, size_t index, void *bytes);
const char *register_set(struct vcpu *cpu, size_t index, const void *bytes);

#endif
