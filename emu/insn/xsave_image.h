/* The images that FXSAVE and the XSAVE family keep in memory: pieces of an area, and what each component looks like there. */
#ifndef EMU_INSN_XSAVE_IMAGE_H
#define EMU_INSN_XSAVE_IMAGE_H

#include "emu/cpu/xstate.h"
#include "emu/insn/insn.h"

#define IMAGE_PIECES 10u

/* An area in memory and a copy of it. Only the bytes of the pieces are moved. */
struct image {
    enum seg seg;
    uint64_t off; /* effective address, cut to the address size */
    uint64_t la;
    uint8_t addr_size;
    bool wide;   /* REX.W: x87 pointers are 64-bit offsets, else selector and 32-bit offset */
    bool long64; /* sixteen vector registers, else eight */
    unsigned count;
    struct {
        uint16_t offset, size;
    } piece[IMAGE_PIECES];
    uint8_t bytes[XSTATE_AREA_MAX];
};

/* The instruction's memory operand: #GP(0) unless it is aligned to `alignment`. */
EMU_MUST_USE enum step image_open(struct vcpu *cpu, const struct insn *in, unsigned alignment,
                                  struct image *image);

/* Add a piece. They are moved in the order of their addresses, adjacent ones as one access. */
void image_add(struct image *image, unsigned offset, unsigned size);

/* May the pieces be written? All faults of the accesses, nothing else. */
EMU_MUST_USE enum step image_probe(struct vcpu *cpu, const struct image *image);
/* Store all pieces. image_probe() has been asked. */
EMU_MUST_USE enum step image_store(struct vcpu *cpu, const struct image *image);
/* Load all pieces, and forget them. */
EMU_MUST_USE enum step image_load(struct vcpu *cpu, struct image *image);

/* x87 and SSE state at their places in an image; the put functions add the pieces that are to be stored. */
void image_put_x87(const struct vcpu *cpu, struct image *image);
void image_put_mxcsr(const struct vcpu *cpu, struct image *image);
void image_put_xmm(const struct vcpu *cpu, struct image *image);
void image_add_x87(struct image *image);
void image_add_xmm(struct image *image);
void image_get_x87(const struct vcpu *cpu, const struct image *image, struct cpu_x87 *to);
uint32_t image_get_mxcsr(const struct image *image);
void image_get_xmm(struct vcpu *cpu, const struct image *image);

/* Any component of an XSAVE area at `at`. */
void image_put_component(const struct vcpu *cpu, struct image *image, enum xstate n, unsigned at);
void image_add_component(struct image *image, enum xstate n, unsigned at);
/* May a component be loaded: no reserved bit, no address that is not canonical? The shadow stack MSRs alone have some that
 * XRSTORS looks at. APM vol 2, 18.13 "XSAVE/XRSTOR". */
bool image_component_ok(const struct vcpu *cpu, const struct image *image, enum xstate n,
                        unsigned at);
void image_get_component(struct vcpu *cpu, const struct image *image, enum xstate n, unsigned at);
/* Put a component into its initial state, MXCSR not. APM vol 2, table 11-7. */
void image_init_component(struct vcpu *cpu, const struct image *image, enum xstate n);

#endif
