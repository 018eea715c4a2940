/* Fetch: from RIP to a decoded block. */
#include "decoder/decode.h"
#include "emu/cpu/mem.h"
#include "emu/cpu/run_priv.h"

#define PAGE_MASK UINT64_C(0xfff)

static enum step translate_fetch(struct vcpu *cpu, uint64_t la, uint64_t *spa)
{
    struct walk_result walk =
        paging_translate(cpu->paging, mem_regime(cpu), la, (struct access){ .kind = ACCESS_EXEC });
    if (EMU_LIKELY(walk.status == WALK_OK)) {
        *spa = walk.spa;
        return STEP_NEXT;
    }
    enum step step = walk.status == WALK_FAULT ? cpu_raise_page_fault(cpu, la, walk.code)
                                               : cpu_raise_npf(cpu, la, walk.info1, walk.gpa);
    cpu->raised.fetch = true;
    return step;
}

/* Make `la`'s page the current fetch page. */
static enum step fetch_page(struct vcpu *cpu, uint64_t la)
{
    struct run_state *run = cpu->run;
    (void)mem_regime(cpu);
    if (run->fetch_la == (la & ~PAGE_MASK) &&
        run->fetch_key == paging_context(cpu->paging, cpu->bank))
        return STEP_NEXT;
    uint64_t spa = 0;
    enum step step = translate_fetch(cpu, la, &spa);
    if (step != STEP_NEXT) {
        run->fetch_la = UINT64_MAX;
        return step;
    }
    run->fetch_la = la & ~PAGE_MASK;
    run->fetch_spa = spa & ~PAGE_MASK;
    run->fetch_page = memory_backing(cpu->memory, spa);
    run->fetch_key = paging_context(cpu->paging, cpu->bank);
    return STEP_NEXT;
}

/* Linear address of the next instruction, after the checks of the fetch itself. APM vol 2, 8.5: before #PF. */
static enum step fetch_linear(struct vcpu *cpu, uint64_t *la)
{
    if (cpu->mode == MODE_LONG64) {
        *la = cpu->r[REG_RIP];
        if (!paging_is_canonical(*la, (cpu->regs.cr4 & CR4_LA57) != 0))
            return cpu_raise_code(cpu, EXC_GP, 0);
        return STEP_NEXT;
    }
    const struct segment *cs = &cpu->regs.seg[SEG_CS];
    cpu->r[REG_RIP] = (uint32_t)cpu->r[REG_RIP];
    if (cpu->r[REG_RIP] > cs->limit)
        return cpu_raise_code(cpu, EXC_GP, 0);
    *la = (uint32_t)(cpu->r[REG_RIP] + cs->base);
    return STEP_NEXT;
}

/* The backing page and address of the page behind `la`'s. */
static enum step second_page(struct vcpu *cpu, uint64_t la, uint64_t *page, uint64_t *spa)
{
    uint64_t next = (la & ~PAGE_MASK) + PAGE_MASK + 1;
    if (cpu->mode != MODE_LONG64) { /* the CS limit may come before the page does */
        if (cpu->r[REG_RIP] + (next - la) > cpu->regs.seg[SEG_CS].limit)
            return cpu_raise_code(cpu, EXC_GP, 0);
        next = (uint32_t)next;
    } else if (!paging_is_canonical(next, (cpu->regs.cr4 & CR4_LA57) != 0)) {
        return cpu_raise_code(cpu, EXC_GP, 0);
    }
    enum step step = translate_fetch(cpu, next, spa);
    if (step == STEP_NEXT)
        *page = memory_backing(cpu->memory, *spa);
    return step;
}

/* What a block is found by beside its place. The regime is that of the fetch. */
static unsigned block_key(const struct vcpu *cpu)
{
    return cpu->mode | (cpu->regime->shadow_stack ? BLOCK_SHADOW_STACK : 0);
}

/* One instruction whose bytes lie at least partly in MMIO. They are read one by one, as needed. */
static enum step loose_block(struct vcpu *cpu, uint64_t la, struct block **block)
{
    uint8_t bytes[INSN_MAX_BYTES];
    uint64_t spa = cpu->run->fetch_spa | (la & PAGE_MASK), page;
    for (unsigned have = 0; have < INSN_MAX_BYTES;) {
        if (have != 0 && ((la + have) & PAGE_MASK) == 0) {
            enum step step = second_page(cpu, la, &page, &spa);
            if (step != STEP_NEXT)
                return step;
        }
        bytes[have++] = (uint8_t)phys_read(cpu->memory, spa++, 1);
        if (block_build_loose(cpu->run->cache, bytes, have, block_key(cpu), block) != DECODE_SHORT)
            break;
    }
    return STEP_NEXT;
}

static void tell_block(struct vcpu *cpu, uint64_t la, const struct block *block)
{
    if (probes_want(cpu->probes, PROBE_BLOCK))
        probes_fire(cpu->probes, &(struct probe_event){ .kind = PROBE_BLOCK,
                                                        .cpu = cpu,
                                                        .a = la,
                                                        .b = cpu->run->fetch_spa | (la & PAGE_MASK),
                                                        .c = block->bytes });
}

static enum step out_of_memory(struct vcpu *cpu)
{
    return cpu_stop_unimplemented(cpu,
                                  "going on when the workstation has no memory for decoded code");
}

/* Find or make the block at the current fetch page; `exact`: of one instruction. */
static enum step backed_block(struct vcpu *cpu, uint64_t la, bool exact, struct block **block)
{
    struct run_state *run = cpu->run;
    unsigned offset = (unsigned)(la & PAGE_MASK);
    uint64_t page2, spa2;
    *block = block_find(run->cache, run->fetch_page, offset, block_key(cpu), exact);
    if (*block && (*block)->page2 == BLOCK_NO_PAGE)
        return STEP_NEXT;
    if (!*block) {
        run->built = true;
        if (block_build(run->cache, run->fetch_page, offset, BLOCK_NO_PAGE, block_key(cpu), exact,
                        block) == BUILD_OK) {
            if (!*block)
                return out_of_memory(cpu);
            tell_block(cpu, la, *block);
            return STEP_NEXT;
        }
    }
    enum step step = second_page(cpu, la, &page2, &spa2);
    if (step != STEP_NEXT)
        return step;
    if (*block && (*block)->dead) /* the walk's accessed bit was written into its bytes */
        *block = NULL;
    if (*block && (*block)->page2 == page2)
        return STEP_NEXT;
    if (*block)
        block_discard(run->cache, *block);
    if (page2 == BLOCK_NO_PAGE)
        return loose_block(cpu, la, block);
    run->built = true;
    (void)block_build(run->cache, run->fetch_page, offset, page2, block_key(cpu), exact, block);
    if (!*block)
        return out_of_memory(cpu);
    tell_block(cpu, la, *block);
    return STEP_NEXT;
}

enum step fetch_block(struct vcpu *cpu, bool exact, uint64_t *la, struct block **block)
{
    struct run_state *run = cpu->run;
    enum step step = fetch_linear(cpu, la);
    if (step == STEP_NEXT)
        step = fetch_page(cpu, *la);
    if (step != STEP_NEXT)
        return step;
    if (run->fetch_page == BLOCK_NO_PAGE)
        return loose_block(cpu, *la, block);
    step = backed_block(cpu, *la, exact, block);
    if (step != STEP_NEXT || cpu->mode == MODE_LONG64)
        return step;
    /* The CS limit: checked for the block, and if that does not fit for its first instruction. */
    uint64_t last = cpu->r[REG_RIP] + (*block)->bytes - 1;
    if (last <= cpu->regs.seg[SEG_CS].limit)
        return STEP_NEXT;
    if (exact || (*block)->alone)
        return cpu_raise_code(cpu, EXC_GP, 0);
    return fetch_block(cpu, true, la, block);
}
