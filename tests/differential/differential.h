/* The native oracle: one instruction on the workstation's own processor and here, from the same state.
 *
 * Linear addresses are the same on both sides: one page of code, and 64 KiB of which some are data (diff_page_of()). In
 * 16-bit code CS begins DIFF_CODE16 bytes below the code. The segments of segments.def begin at the data. A #BP behind the
 * instruction ends it or, with RFLAGS.TF, a #DB; string instructions go on for DIFF_STEPS_MAX iterations. */
#ifndef TESTS_DIFFERENTIAL_H
#define TESTS_DIFFERENTIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "emu/cpu/state.h"

#define DIFF_CODE UINT64_C(0x10000000)
#define DIFF_CODE16 0xf000u
#define DIFF_DATA UINT64_C(0x20000000)
#define DIFF_DATA_PAGES 5u /* that exist: 0-2 and 15 can be written, 3 only read */
#define DIFF_DATA_BYTES (DIFF_DATA_PAGES * 4096u)
#define DIFF_READ_ONLY 3u
#define DIFF_NOWHERE UINT64_C(0x30000000) /* 64 KiB where nothing is mapped */
#define DIFF_FS_BASE (DIFF_DATA + 0x800)
#define DIFF_GS_BASE (DIFF_DATA + 0x1000)
#define DIFF_CODE_BYTES 24u /* of a case: the longest instruction and what makes it too long */
#define DIFF_STEPS_MAX 100u
#define DIFF_BATCH 8192u
#define DIFF_SAMPLE 1024u /* an XSAVE image and more */

/* Selectors: Linux's own, and two of the process's LDT. */
#define DIFF_CS32 0x23u
#define DIFF_DS 0x2bu
#define DIFF_CS64 0x33u
#define DIFF_CS16 0x07u

/* The segments of segments.def: LDT entries behind that of CS. */
enum diff_segment {
#define SEGMENT(name, limit, contents, big, bit1, present) DIFF_SEGMENT_##name,
#include "tests/differential/segments.def"
#undef SEGMENT
    DIFF_SEGMENTS
};
static inline uint16_t diff_selector(unsigned segment)
{
    return (uint16_t)((segment + 1) << 3 | 7);
}

enum diff_mode { DIFF_64, DIFF_32, DIFF_16, DIFF_MODES };

/* x87, SSE and AVX state; the fields of an XSAVE image in its order. No padding: it is compared as bytes. */
struct diff_fp {
    uint16_t fcw, fsw;
    uint16_t used, fop; /* used: the abridged tag word */
    uint64_t fip, fdp;
    uint8_t st[8][16]; /* ST(0)-ST(7): ten bytes each, the others are 0 */
    uint8_t xmm[16][16];
    uint8_t high[16][16]; /* upper halves of YMM0-YMM15 */
    uint32_t mxcsr, none;
};

struct diff_state {
    uint64_t r[16]; /* in the order of enum reg */
    uint64_t rip, rflags, fs_base, gs_base;
    uint16_t seg[6]; /* selectors, in the order of enum seg */
    struct diff_fp fp;
};

struct diff_case {
    struct diff_state before; /* rip is the offset in CS */
    uint8_t bytes[DIFF_CODE_BYTES];
    uint16_t mnemonic; /* 0: no instruction */
    uint16_t kind;     /* of forms.c; 0: none */
    uint8_t mode;      /* enum diff_mode */
    uint8_t len;       /* of the instruction */
    bool repeats;      /* a string instruction with a repeat prefix */
    bool breaks;       /* an INT3 behind the instruction ends it, not RFLAGS.TF */
    bool gathers;
    bool parts;       /* an operand that is accessed in parts, of which some may fault */
    bool wraps;       /* and its offsets reach over FFFFh, the last of its address size */
    uint16_t large;   /* its bytes, 0: it is not */
    uint64_t operand; /* and its linear address */
};

/* What an instruction did. vector is 1 (#DB) or, where the case breaks, 3 (#BP) when it just completed. */
struct diff_outcome {
    struct diff_state after;
    uint64_t cr2, hash; /* hash of the changed bytes */
    uint32_t vector, code;
    uint32_t first, changed; /* of the data: the first changed byte, and how many up to the last */
    uint16_t steps;
    bool done;
    int16_t signal; /* native: of what ended it when it was no exception of the processor, else 0 */
    uint8_t sample[DIFF_SAMPLE];
};

static inline bool diff_completed(const struct diff_case *ran, const struct diff_outcome *out)
{
    return out->vector == (ran->breaks ? EXC_BP : EXC_DB);
}

/* What of the data became different: `now` is not the same as `old`. */
static inline void diff_describe(struct diff_outcome *out, const uint8_t *old, const uint8_t *now)
{
    uint32_t first = 0, last = DIFF_DATA_BYTES;
    while (now[first] == old[first])
        first++;
    while (now[last - 1] == old[last - 1])
        last--;
    out->first = first;
    out->changed = last - first;
    out->hash = last - first;
    for (uint32_t i = first; i < last; i++) {
        out->hash = (out->hash ^ now[i]) * UINT64_C(0x9e3779b97f4a7c15);
        if (i - first < DIFF_SAMPLE)
            out->sample[i - first] = now[i];
    }
}

static inline enum cpu_mode diff_cpu_mode(unsigned mode)
{
    return mode == DIFF_64 ? MODE_LONG64 : mode == DIFF_32 ? MODE_COMPAT32 : MODE_COMPAT16;
}

/* Where data page n lies: which of the 64 KiB's sixteen pages. */
static inline unsigned diff_page_of(unsigned n)
{
    return n < 4 ? n : 15;
}

/* Linear address of CS:0. */
static inline uint64_t diff_code_base(unsigned mode)
{
    return mode == DIFF_16 ? DIFF_CODE - DIFF_CODE16 : 0;
}

/* --- random.c: numbers with an inclination to edges, from one seed --- */
struct diff_random {
    uint64_t state;
};
uint64_t random_bits(struct diff_random *random);
unsigned random_below(struct diff_random *random, unsigned n);
bool random_chance(struct diff_random *random, unsigned percent);
uint64_t random_edge(struct diff_random *random);

/* --- generate.c: instructions and states --- */
struct diff_forms;
/* Find every encoding of the instruction table; `only`, if not NULL: of mnemonics that begin so. */
struct diff_forms *forms_new(const char *only);
void forms_free(struct diff_forms *forms);
unsigned forms_modes(const struct diff_forms *forms); /* that have one: bits */
void forms_print(const struct diff_forms *forms);
void forms_tally(struct diff_forms *forms, const struct diff_case *ran);
/* Forms that ran less than `wanted` times, and those that never run: why. modes: bits. */
void coverage_print(const struct diff_forms *forms, uint64_t wanted, unsigned modes);
/* Make a case. `data` is the memory it will find; `fp` what the registers hold that it does not use. */
void generate_case(const struct diff_forms *forms, struct diff_random *random, unsigned mode,
                   const uint8_t *data, const struct diff_fp *fp, struct diff_case *made);

/* --- draw_fp.c: floating-point state, and numbers in the data --- */
void draw_fp_default(struct diff_random *random, struct diff_fp *fp);
void fill_fp(struct diff_random *random, uint8_t *data);

/* --- selectors.c: for instructions on segment registers; see struct far_tables --- */
struct insn;
bool uses_selectors(const struct insn *in);
bool leaves_segment(const struct insn *in); /* far transfers and IRET */
void fill_selectors(struct diff_random *random, uint8_t *data);
/* Let `in` meet interesting selectors. `len`: of the instruction in `bytes`, which may change; *target: of its memory operand. */
void aim_selectors(const struct insn *in, struct diff_random *random, struct diff_case *made,
                   uint8_t *bytes, uint64_t *target);

/* --- native.c: false where the workstation cannot run the mode --- */
bool native_setup(void);
void native_unpin(void); /* the parent may run anywhere; after the last native_descriptor() */
bool native_has_mode(unsigned mode);
bool native_follows_amd(void);
/* A bit of CPUID. reg: enum cpuid_register */
bool native_feature(uint32_t leaf, unsigned reg, unsigned bit);
/* Can the child load segment registers and put FS and GS right again? */
bool native_loads_segments(void);
/* What LAR and LSL say of a GDT entry to level 3: attributes as in struct segment. false: nothing. */
bool native_descriptor(uint16_t selector, uint16_t *attr, uint32_t *limit);
/* Run cases [0, count) from the memory `data`. The child that does it has a copy of them; `outcomes` is shared with it. */
void native_start(const struct diff_case *cases, struct diff_outcome *outcomes, unsigned count,
                  const uint8_t *data);
void native_finish(struct diff_outcome *outcomes);
void *native_shared(unsigned long bytes); /* zeroed */

/* --- emulated.c --- */
struct diff_emulated;
struct diff_emulated *emulated_new(void);
void emulated_free(struct diff_emulated *emulated);
void emulated_data(struct diff_emulated *emulated, const uint8_t *data);
void emulated_run(struct diff_emulated *emulated, const struct diff_case *wanted,
                  struct diff_outcome *outcome);

/* --- compare.c --- */
/* What of the two outcomes must not be compared: rules of masks.def. */
bool compare_outcomes(const struct diff_case *ran, const struct diff_outcome *native,
                      const struct diff_outcome *emulated);
void compare_describe(const struct diff_case *ran, const struct diff_outcome *native,
                      const struct diff_outcome *emulated);
void compare_print_masks(void);

/* --- compare_fp.c: x87, SSE and AVX state --- */
bool same_fp(const struct diff_case *ran, const struct diff_outcome *native,
             const struct diff_outcome *emulated);
void describe_fp(const struct diff_case *ran, const struct diff_outcome *native,
                 const struct diff_outcome *emulated);
void fp_print_masks(void);
/* Bits of a general register that this workstation alone has. */
uint64_t native_only_bits(const struct diff_case *ran, unsigned reg);
/* Are both in a large operand? Then it is not told which of its bytes faults first. */
bool same_operand(const struct diff_case *ran, uint64_t a, uint64_t b);
/* Can the two not be compared at all? */
bool skip_fp(const struct diff_case *ran, const struct diff_outcome *native,
             const struct diff_outcome *emulated);

#endif
