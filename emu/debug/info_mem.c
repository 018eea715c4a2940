/* `info mem`: what is mapped, by walking the whole linear address space. */
#include "emu/debug/info_priv.h"

#include <inttypes.h>

/* A guest can map 2^36 pages with one table that names itself; more walks than this are not made. */
#define WALKS_MOST (UINT32_C(1) << 20)

struct range {
    uint64_t from, bytes;
    bool open, writable, nx, user, global;
};

static void put_range(const struct range *range, const struct pacifica_output *output)
{
    if (range->open)
        output_put(output, "%016" PRIx64 "-%016" PRIx64 " %12" PRIx64 " r%c%c %s%s\n", range->from,
                   range->from + range->bytes - 1, range->bytes, range->writable ? 'w' : '-',
                   range->nx ? '-' : 'x', range->user ? "user" : "supervisor",
                   range->global ? " global" : "");
}

/* A mapped page: it makes the open range longer, or ends it and opens the next. */
static void add_page(struct range *range, uint64_t la, uint64_t bytes,
                     const struct walk_result *res, const struct pacifica_output *output)
{
    bool joins = range->open && range->from + range->bytes == la &&
                 range->writable == res->writable && range->nx == res->nx &&
                 range->user == res->user && range->global == res->global;
    if (joins) {
        range->bytes += bytes;
        return;
    }
    put_range(range, output);
    *range = (struct range){ .from = la,
                             .bytes = bytes,
                             .open = true,
                             .writable = res->writable,
                             .nx = res->nx,
                             .user = res->user,
                             .global = res->global };
}

/* How much around an address has the same answer as a walk that failed: what the last entry that was read covers. A
 * nested entry counts only if it ended the translation of the page itself. 0: everything. */
static uint64_t failed_bytes(const struct walk_regime *regime, const struct walk_result *res,
                             const struct walk_log *log)
{
    bool final = res->status == WALK_NPF && (res->info1 & NPF_FINAL);
    uint64_t bytes = 0;
    if (final && (log->count == 0 || log->step[log->count - 1].guest))
        return UINT64_C(1) << 12; /* beyond the reach of the nested tables: no entry was read */
    if (final)
        bytes = info_entry_bytes(regime->nested->mode, log->step[log->count - 1].level);
    for (unsigned i = log->count; i-- > 0;) {
        const struct walk_step *step = &log->step[i];
        if (regime->nested && !step->guest)
            continue;
        uint64_t covered = info_entry_bytes(regime->mode, step->level);
        return bytes && bytes < covered ? bytes : covered;
    }
    return bytes;
}

/* Where linear addresses end, as if they were not sign-extended. */
static uint64_t space_end(enum walk_mode mode)
{
    return mode == WALK_5LEVEL   ? UINT64_C(1) << 57
           : mode == WALK_4LEVEL ? UINT64_C(1) << 48
                                 : UINT64_C(1) << 32;
}

static uint64_t sign_extend(enum walk_mode mode, uint64_t at)
{
    if (mode < WALK_4LEVEL)
        return at;
    uint64_t half = space_end(mode) / 2;
    return (at ^ half) - half;
}

/* Write every range that `regime` maps, of linear addresses or, where it is that of nested tables, guest physical ones. */
static void put_mapped(struct vcpu *cpu, const struct walk_regime *regime, bool linear,
                       const struct pacifica_output *output)
{
    const uint64_t end = space_end(regime->mode);
    struct range range = { .open = false };
    struct walk_log log;
    uint32_t walks = 0;
    for (uint64_t at = 0, bytes; at < end; at = (at | (bytes - 1)) + 1) {
        uint64_t la = linear ? sign_extend(regime->mode, at) : at;
        if (walks++ == WALKS_MOST) {
            put_range(&range, output);
            output_put(output, "more from %016" PRIx64 " on: not looked at\n", la);
            return;
        }
        struct walk_result res =
            walk_explain(cpu->memory, regime, la, (struct access){ .kind = ACCESS_READ }, &log);
        if (res.status == WALK_OK) {
            bytes = res.page_bytes;
            add_page(&range, la, bytes, &res, output);
            continue;
        }
        bytes = failed_bytes(regime, &res, &log);
        if (bytes == 0)
            break;
    }
    put_range(&range, output);
    if (!range.open)
        output_put(output, "nothing is mapped\n");
}

enum pacifica_status info_mem(struct vcpu *cpu, const char *argument,
                              const struct pacifica_output *output, struct pacifica_diag *diag)
{
    const struct walk_regime regime = info_regime(cpu);
    (void)argument;
    (void)diag;
    if (regime.mode == WALK_NONE && !regime.nested)
        output_put(output, "no paging: linear addresses are physical\n");
    else
        put_mapped(cpu, &regime, true, output);
    return PACIFICA_OK;
}

/* The nested tables as the host's modes walk them: now, while it runs, or those it had at VMRUN. */
enum pacifica_status info_npt(struct vcpu *cpu, const char *argument,
                              const struct pacifica_output *output, struct pacifica_diag *diag)
{
    uint8_t page[VMCB_PAGE_BYTES];
    struct walk_regime regime;
    (void)argument;
    (void)diag;
    if (!info_vmcb(cpu, page, output))
        return PACIFICA_OK;
    if (cpu->svm->guest)
        regime = cpu->svm->host_regime;
    else
        regime = info_regime(cpu);
    if (cpu->svm->guest ? !cpu->svm->nested_paging
                        : !(vmcb_field_value(page, VMCB_NESTED_CONTROL) & 1)) {
        output_put(output, "the guest has no nested paging\n");
        return PACIFICA_OK;
    }
    regime.root = vmcb_field_value(page, VMCB_N_CR3);
    regime.nested = NULL;
    output_put(output, "nested tables at %016" PRIx64 ", %s\n", regime.root,
               info_paging_name(regime.mode));
    put_mapped(cpu, &regime, false, output);
    return PACIFICA_OK;
}
