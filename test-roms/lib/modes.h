/* modes.h: run a piece of code in any mode of the processor and see how it ends.
 *
 *     MODE_CODE16(twice, "addw %ax, %ax");
 *     struct modes_state *m = modes_begin(MODE_REAL, twice);
 *     m->regs[M_AX] = 21;
 *     struct mode_event e = modes_run();     // #UD at twice_end: it ran through
 *     tap_ok(modes_done(&e, twice_end) && modes_reg(M_AX) == 42, "...");
 *
 * modes_begin() makes a fresh world for the mode: a GDT, an IDT whose gates all lead back, a TSS, paging.
 * The test changes what it likes in it; modes_run() goes there by IRET and comes back with the first
 * event. A piece of code ends by UD2, which the macros append: #UD needs no right and exists in every
 * mode. Events that the test allows to resume are noted and the code goes on (modes_resume).
 *
 * 16-bit code lies below 64 KiB with segment 0, so an offset is an address. Not for use by several
 * processors at the same time. */
#ifndef TEST_ROMS_LIB_MODES_H
#define TEST_ROMS_LIB_MODES_H

#include <stdbool.h>
#include <stdint.h>

#include "test-roms/lib/cpu.h"
#include "test-roms/lib/layout.h"

enum mode {
    MODE_REAL,
    MODE_UNREAL,      /* real mode with data segments of 4 GiB */
    MODE_PROT16,      /* protected mode, 16-bit code and stack, no paging, CPL 0 */
    MODE_PROT32,      /* flat 32-bit */
    MODE_PROT16_USER, /* the same at CPL 3 */
    MODE_PROT32_USER,
    MODE_V86,      /* IOPL 3; see m->rflags */
    MODE_COMPAT16, /* long mode, 16-bit code */
    MODE_COMPAT32,
    MODE_COMPAT16_USER,
    MODE_COMPAT32_USER,
    MODE_LONG,
    MODE_LONG_USER,
    MODES,
};

enum { M_AX, M_CX, M_DX, M_BX, M_SP, M_BP, M_SI, M_DI, M_R8 };

/* Where the code starts. The order of the members is known to modes_asm.S (layout.h). */
struct modes_state {
    uint32_t kind, unused;
    uint64_t cr0, cr3, cr4, efer;
    struct table_register gdtr;
    uint8_t pad1[6];
    struct table_register idtr;
    uint8_t pad2[6];
    uint16_t ldtr, tr;
    uint16_t preload, preload_ss; /* real mode: the selectors whose limits and rights stay */
    uint16_t es, cs, ss, ds, fs, gs;
    uint32_t pad3;
    uint64_t rip, rflags;
    uint64_t regs[16];
};

/* An event as its gate found it. `sp` and `ss` are those of the interrupted code. */
struct mode_event {
    uint32_t vector; /* EXC_NONE if there is no such event */
    bool real;       /* through the table of real mode */
    uint64_t error, ip, cs, flags, sp, ss;
    uint16_t es, ds, fs, gs; /* from virtual-8086 mode only */
    uint16_t handler_ss, handler_tr;
    uint64_t dr6, cr2;
};

/* Code that ends by UD2 at <name>_end. 16-bit code and its data are in .low. `name_insn` may be a label
 * in the text. */
#define MODE_CODE(section, bits, name, text)                                                    \
    extern const char name[], name##_insn[], name##_end[];                                      \
    __asm__(".pushsection " section "\n.code" #bits "\n.globl " #name ", " #name "_end\n" #name \
            ":\n" text "\n" #name "_end: ud2\n.code64\n.popsection")
#define MODE_CODE16(name, text) MODE_CODE(".low, \"awx\", @progbits", 16, name, text)
#define MODE_CODE32(name, text) MODE_CODE(".low, \"awx\", @progbits", 32, name, text)
#define MODE_CODE64(name, text) MODE_CODE(".low, \"awx\", @progbits", 64, name, text)

/* Variables in .low, for 16-bit code and for anything that needs an address below 64 KiB. */
#define LOW_DATA __attribute__((section(".lowdata")))

/* Make a fresh world for a mode, ready to start at `code`; all registers 0 but the stack pointer. */
struct modes_state *modes_begin(enum mode mode, const char *code);

/* Go. Returns the event that ended it; modes_events() and modes_event() tell of those before. */
struct mode_event modes_run(void);

unsigned modes_events(void);
struct mode_event modes_event(unsigned index);

/* How many of the noted events have this vector. */
unsigned modes_count(unsigned vector);

/* It ran through to its UD2. */
bool modes_done(const struct mode_event *e, const char *end);

/* Registers at the end (without the stack pointer, which is in the event), and system registers. */
uint64_t modes_reg(unsigned number);
uint16_t modes_seg_es(void), modes_seg_ds(void), modes_seg_fs(void), modes_seg_gs(void);
uint64_t modes_cr0(void), modes_cr2(void), modes_cr3(void), modes_cr4(void), modes_efer(void),
    modes_dr6(void), modes_dr7(void);
uint16_t modes_tr(void), modes_ldtr(void);

/* What a gate does for a vector: 0 ends the run; RESUME returns to the code, with RESUME_APIC_EOI,
 * RESUME_PIC_EOI or RESUME_RF (sets RF in the image) besides. Cleared by modes_begin(). INT n with the
 * number of an exception that has an error code must not resume. */
extern uint8_t modes_resume[256];

/* Gates of 16 bits (types 6 and 7) push words: the next run is read so. */
void modes_frames16(bool yes);
/* The event came by INT n, or through a gate of a vector whose error code was not pushed. */
void modes_no_error(bool yes);

/* ---- tables ------------------------------------------------------------------------------------- */
extern uint64_t modes_gdt[MODES_GDT_ENTRIES], modes_ldt[16];
extern uint8_t modes_idt[4096];
extern uint8_t modes_tss[256 + 8192 + 8];

/* A descriptor. type: the 8 bits P DPL S type; flags: G 8, B/D 4, L 2, AVL 1. */
uint64_t modes_descriptor(uint32_t base, uint32_t limit, unsigned type, unsigned flags);
#define SEG_CODE 0x9b
#define SEG_DATA 0x93
#define SEG_DPL(n) ((n) << 5)
#define SEG_G 8
#define SEG_BIG 4
#define SEG_L 2

void modes_set(uint16_t selector, uint64_t descriptor);
/* Selectors of the free part of the GDT and of the LDT, RPL 0. */
static inline uint16_t modes_free(unsigned n)
{
    return (uint16_t)(MSEL_FREE + 8 * n);
}
static inline uint16_t modes_local(unsigned n)
{
    return (uint16_t)(8 * n | 4);
}

/* A gate. type as above (0x8e interrupt, 0x8f trap, 0x86, 0x87 16-bit, 0x8c call, 0x84, 0x85 task). */
uint64_t modes_gate(uint16_t selector, uint32_t offset, unsigned type, unsigned count);
/* The IDT's gate of a vector in legacy mode, and where it leads by default. */
uint64_t *modes_idt_gate(unsigned vector);
/* The same in long mode: two quadwords; modes_stub64() is where it leads by default. */
uint64_t *modes_idt_gate64(unsigned vector);
uint64_t modes_stub64(unsigned vector);
uint32_t modes_stub(unsigned vector);

/* The entry of real mode's table at 0; by default it leads back too. */
void modes_ivt(unsigned vector, uint16_t segment, uint16_t offset);

/* A TSS of the legacy kind; offsets as in the manual. */
#define TSS_LINK 0x00
#define TSS_ESP0 0x04
#define TSS_SS0 0x08
#define TSS_CR3 0x1c
#define TSS_EIP 0x20
#define TSS_EFLAGS 0x24
#define TSS_EAX 0x28
#define TSS_ECX 0x2c
#define TSS_EDX 0x30
#define TSS_EBX 0x34
#define TSS_ESP 0x38
#define TSS_EBP 0x3c
#define TSS_ESI 0x40
#define TSS_EDI 0x44
#define TSS_ES 0x48
#define TSS_CS 0x4c
#define TSS_SS 0x50
#define TSS_DS 0x54
#define TSS_FS 0x58
#define TSS_GS 0x5c
#define TSS_LDT 0x60
#define TSS_T 0x64
#define TSS_IOMAP 0x66
#define TSS_BYTES 0x68
void modes_store(void *tss, unsigned offset, uint32_t value, unsigned bytes);
uint32_t modes_load(const void *tss, unsigned offset, unsigned bytes);

/* Allow all ports in the TSS's I/O map, and clear the redirection map below it. */
void modes_open_ports(void);

/* Tops of stacks below 64 KiB. */
extern uint8_t modes_stack[], modes_user_stack[];

/* ---- paging of 32-bit code ---------------------------------------------------------------------- */
/* Everything mapped to itself, P W U, with 4 MiB pages (CR4.PSE), or with PAE's 2 MiB pages. Turns
 * paging on in the world. The tables are new ones. */
uint32_t *modes_paging_pse(void);
uint64_t *modes_paging_pae(void);
/* Map one 4 KiB page; splits a large one. Returns the entry. */
volatile uint32_t *modes_map32(uint32_t *directory, uint32_t la, uint64_t pa, uint32_t flags);
volatile uint64_t *modes_map_pae(uint64_t *pdpt, uint32_t la, uint64_t pa, uint64_t flags);

/* ---- points ------------------------------------------------------------------------------------- */
/* Report one point: the event has this vector and error code and came from this address (NULL: any). */
bool modes_expect(const struct mode_event *e, unsigned vector, uint64_t error, const char *ip,
                  const char *what);
/* Run and report: how it ends is what was expected. */
struct mode_event modes_try(unsigned vector, uint64_t error, const char *ip, const char *what);

/* Run a piece of code made by MODE_CODE: through to its end, or to a fault of the instruction at
 * <name>_insn; in the world at hand, or (with a mode) in a fresh one. */
#define RUN_PASS(name, what) modes_try(EXC_UD, 0, name##_end, what)
#define RUN_FAULT(name, vector, error, what) modes_try(vector, error, name##_insn, what)
#define PASS(mode, name, what) (modes_begin(mode, name), RUN_PASS(name, what))
#define FAULT(mode, name, vector, error, what) \
    (modes_begin(mode, name), RUN_FAULT(name, vector, error, what))

#endif
