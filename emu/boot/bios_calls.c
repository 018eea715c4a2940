/* Building the code of BIOS interrupts: 16-bit code for real mode, put together here because not every workstation has an
 * assembler for it. Source: IBM PC AT Technical Reference, BIOS listings; ACPI 6.4, 15 "System Address Map Interfaces".
 *
 * CHOICE: memory, A20, clock and equipment are answered. There are no disks (INT 13h fails), no key is ever typed (INT 16h),
 * characters for the screen go nowhere (INT 10h), and services that do not exist return with carry set (INT 15h, 1Ah). */
#include "emu/boot/bios_calls.h"

#include "emu/boot/boot_priv.h"

#include <assert.h>
#include <string.h>

#define MIB1 0x100000u
#define MIB16 0x1000000u
#define SMAP 0x534d4150u
#define E820_BYTES 20u

#define FAILURES_MOST 4

/* The code under construction, with jumps whose targets are not known yet. */
struct code {
    struct bios_calls *calls;
    size_t otherwise;              /* behind the jump of the case that is open; 0: none is */
    size_t failure[FAILURES_MOST]; /* behind jumps to the failure that is to come */
    unsigned failures;
};

static void emit(struct code *code, const uint8_t *bytes, size_t len)
{
    struct bios_calls *calls = code->calls;
    assert(calls->len + len <= sizeof(calls->bytes));
    memcpy(calls->bytes + calls->len, bytes, len);
    calls->len += len;
}
#define CODE(...) \
    emit(code, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define WORD(value) (uint8_t)(value), (uint8_t)((value) >> 8)
#define DWORD(value) WORD(value), WORD((value) >> 16)

static uint16_t here(const struct code *code)
{
    return (uint16_t)(BIOS_CALLS_OFFSET + code->calls->len);
}

/* The jump that ends at `behind` leads to what comes now. */
static void land(struct code *code, size_t behind)
{
    boot_put(code->calls->bytes + behind - 2, code->calls->len - behind, 2);
}

/* A conditional jump with a 16-bit distance; returns the place behind it. */
static size_t jump(struct code *code, uint8_t condition)
{
    CODE(0x0f, 0x80 | condition, 0, 0);
    return code->calls->len;
}
enum { IF_BELOW = 2, IF_NOT_BELOW = 3, IF_NOT_EQUAL = 5 };

/* What follows up to otherwise() is done for this function alone. */
static void when_ah(struct code *code, uint8_t value)
{
    CODE(0x80, 0xfc, value); /* cmp ah, value */
    code->otherwise = jump(code, IF_NOT_EQUAL);
}

static void when_ax(struct code *code, uint16_t value)
{
    CODE(0x3d, WORD(value)); /* cmp ax, value */
    code->otherwise = jump(code, IF_NOT_EQUAL);
}

static void otherwise(struct code *code)
{
    land(code, code->otherwise);
    code->otherwise = 0;
}

static void fail_if(struct code *code, uint8_t condition)
{
    assert(code->failures < FAILURES_MOST);
    code->failure[code->failures++] = jump(code, condition);
}

/* --- ways to return: the flags lie above IP and CS ------------------------------------------------- */

static void iret(struct code *code)
{
    CODE(0xcf);
}

static void return_carry_clear(struct code *code)
{
    CODE(0x55, 0x89, 0xe5,       /* push bp; mov bp, sp */
         0x80, 0x66, 0x06, 0xfe, /* and byte [bp + 6], ~carry */
         0x5d, 0xcf);            /* pop bp; iret */
}

/* With this error in AH. The jumps of fail_if() come here, too. */
static void return_carry_set(struct code *code, uint8_t error)
{
    for (unsigned i = 0; i < code->failures; i++)
        land(code, code->failure[i]);
    code->failures = 0;
    CODE(0xb4, error);           /* mov ah, error */
    CODE(0x55, 0x89, 0xe5,       /* push bp; mov bp, sp */
         0x80, 0x4e, 0x06, 0x01, /* or byte [bp + 6], carry */
         0x5d, 0xcf);            /* pop bp; iret */
}

static void return_zero_set(struct code *code)
{
    CODE(0x55, 0x89, 0xe5, 0x80, 0x4e, 0x06, 0x40, 0x5d, 0xcf); /* or byte [bp + 6], zero */
}

/* --- interrupts of devices -------------------------------------------------------------------------- */

/* The timer's: count the ticks of the day at 46Ch, tell INT 1Ch. */
static void emit_timer(struct code *code)
{
    CODE(0x50, 0x1e, 0x6a, 0x40, 0x1f);                   /* push ax; push ds; ds = 40h */
    CODE(0x66, 0xff, 0x06, WORD(0x6c));                   /* inc dword [6ch] */
    CODE(0x66, 0x81, 0x3e, WORD(0x6c), DWORD(0x1800b0));  /* a day? */
    size_t within = jump(code, IF_BELOW);                 /* */
    CODE(0x66, 0xc7, 0x06, WORD(0x6c), DWORD(0));         /* mov dword [6ch], 0 */
    CODE(0xc6, 0x06, WORD(0x70), 1);                      /* mov byte [70h], 1 */
    land(code, within);                                   /* */
    CODE(0xcd, 0x1c, 0xb0, 0x20, 0xe6, 0x20, 0x1f, 0x58); /* int 1ch; EOI; pop ds; pop ax */
    iret(code);
}

static void emit_end_of_interrupt(struct code *code, bool slave)
{
    CODE(0x50, 0xb0, 0x20); /* push ax; mov al, 20h */
    if (slave)
        CODE(0xe6, 0xa0);   /* out a0h, al */
    CODE(0xe6, 0x20, 0x58); /* out 20h, al; pop ax */
    iret(code);
}

/* --- services ------------------------------------------------------------------------------------------ */

static void emit_video(struct code *code)
{
    when_ah(code, 0x03);                     /* cursor */
    CODE(0xb9, WORD(0x0607), 0xba, WORD(0)); /* mov cx, shape; mov dx, 0 */
    iret(code);
    otherwise(code);
    when_ah(code, 0x0f);               /* mode */
    CODE(0xb8, WORD(0x5003), 0xb7, 0); /* mov ax, 80 columns and mode 3; mov bh, 0 */
    iret(code);
    otherwise(code);
    iret(code);
}

/* A word of the BIOS data area in AX: INT 11h, 12h. */
static void emit_word(struct code *code, uint16_t offset)
{
    CODE(0x1e, 0x6a, 0x40, 0x1f, 0xa1, WORD(offset), 0x1f); /* ds = 40h; mov ax, [offset] */
    iret(code);
}

/* ES:DI receives entry EBX of the table. */
static void emit_e820(struct code *code, uint16_t table, uint8_t count)
{
    when_ax(code, 0xe820);
    CODE(0x66, 0x81, 0xfa, DWORD(SMAP)); /* cmp edx, "SMAP" */
    fail_if(code, IF_NOT_EQUAL);
    CODE(0x66, 0x83, 0xf9, E820_BYTES); /* cmp ecx, 20 */
    fail_if(code, IF_BELOW);
    CODE(0x66, 0x83, 0xfb, count); /* cmp ebx, count */
    fail_if(code, IF_NOT_BELOW);
    CODE(0x1e, 0x56, 0x57, 0x51, 0x0e, 0x1f);                     /* save ds, si, di, cx; ds = cs */
    CODE(0x6b, 0xf3, E820_BYTES, 0x81, 0xc6, WORD(table));        /* si = table + 20 * bx */
    CODE(0xb9, WORD(E820_BYTES / 2), 0xfc, 0xf3, 0xa5);           /* cx = 10; cld; rep movsw */
    CODE(0x59, 0x5f, 0x5e, 0x1f, 0x66, 0x43);                     /* restore; inc ebx */
    CODE(0x66, 0x83, 0xfb, count);                                /* the last one? */
    size_t more = jump(code, IF_BELOW);                           /* */
    CODE(0x66, 0x31, 0xdb);                                       /* xor ebx, ebx */
    land(code, more);                                             /* */
    CODE(0x66, 0xb8, DWORD(SMAP), 0x66, 0xb9, DWORD(E820_BYTES)); /* eax = "SMAP"; ecx = 20 */
    return_carry_clear(code);
    otherwise(code);
}

/* From 1 MiB to 16 MiB in KiB, and above in units of 64 KiB. */
static void emit_memory_sizes(struct code *code, uint64_t low_end)
{
    uint64_t below = (low_end < MIB16 ? low_end : MIB16) - MIB1;
    uint64_t above = low_end < MIB16 ? 0 : low_end - MIB16, all = (low_end - MIB1) / 1024;
    uint16_t kib = (uint16_t)(below / 1024), blocks = (uint16_t)(above / 65536);
    when_ax(code, 0xe801);
    CODE(0xb8, WORD(kib), 0xbb, WORD(blocks), 0xb9, WORD(kib), 0xba,
         WORD(blocks)); /* ax bx cx dx */
    return_carry_clear(code);
    otherwise(code);
    when_ah(code, 0x88);
    all = all < 0xfc00 ? all : 0xfc00;
    CODE(0xb8, WORD(all));
    return_carry_clear(code);
    otherwise(code);
}

/* By port 92h. */
static void emit_a20(struct code *code)
{
    when_ax(code, 0x2400);                             /* close */
    CODE(0xe4, 0x92, 0x24, 0xfd, 0xe6, 0x92, 0xb4, 0); /* in al; and al, ~2; out al; mov ah, 0 */
    return_carry_clear(code);
    otherwise(code);
    when_ax(code, 0x2401);                             /* open */
    CODE(0xe4, 0x92, 0x0c, 0x02, 0xe6, 0x92, 0xb4, 0); /* in al; or al, 2; out al; mov ah, 0 */
    return_carry_clear(code);
    otherwise(code);
    when_ax(code, 0x2402);                             /* is it open? */
    CODE(0xe4, 0x92, 0xd0, 0xe8, 0x24, 0x01, 0xb4, 0); /* in al; shr al, 1; and al, 1; mov ah, 0 */
    return_carry_clear(code);
    otherwise(code);
    when_ax(code, 0x2403); /* how: by the keyboard controller and port 92h */
    CODE(0xbb, WORD(3), 0xb4, 0);
    return_carry_clear(code);
    otherwise(code);
}

static void emit_keyboard(struct code *code)
{
    static const uint8_t read[] = { 0x00, 0x10 }, peek[] = { 0x01, 0x11 }, shift[] = { 0x02, 0x12 };
    for (unsigned i = 0; i < 2; i++) {
        when_ah(code, read[i]);
        CODE(0xb8, WORD(0)); /* mov ax, 0 */
        iret(code);
        otherwise(code);
        when_ah(code, peek[i]);
        return_zero_set(code); /* nothing there */
        otherwise(code);
        when_ah(code, shift[i]);
        CODE(0xb0, 0); /* mov al, 0 */
        iret(code);
        otherwise(code);
    }
    iret(code);
}

/* AL = CMOS register, which then moves to a register (ModRM of mov r8, al). */
static void emit_cmos(struct code *code, uint8_t reg, uint8_t modrm)
{
    CODE(0xb0, reg, 0xe6, 0x70, 0xe4, 0x71, 0x88, modrm);
}
enum { TO_CL = 0xc1, TO_DL = 0xc2, TO_CH = 0xc5, TO_DH = 0xc6 };

static void emit_clock(struct code *code)
{
    when_ah(code, 0x00);                                     /* ticks */
    CODE(0x1e, 0x6a, 0x40, 0x1f);                            /* push ds; ds = 40h */
    CODE(0x8b, 0x0e, WORD(0x6e), 0x8b, 0x16, WORD(0x6c));    /* mov cx, [6eh]; mov dx, [6ch] */
    CODE(0xa0, WORD(0x70), 0xc6, 0x06, WORD(0x70), 0, 0x1f); /* mov al, [70h]; clear it; pop ds */
    return_carry_clear(code);
    otherwise(code);
    when_ah(code, 0x02); /* time */
    emit_cmos(code, 0x00, TO_DH);
    emit_cmos(code, 0x02, TO_CL);
    emit_cmos(code, 0x04, TO_CH);
    CODE(0xb2, 0, 0xb4, 0); /* no daylight saving; ah = 0 */
    return_carry_clear(code);
    otherwise(code);
    when_ah(code, 0x04); /* date */
    emit_cmos(code, 0x07, TO_DL);
    emit_cmos(code, 0x08, TO_DH);
    emit_cmos(code, 0x09, TO_CL);
    emit_cmos(code, 0x32, TO_CH);
    CODE(0xb4, 0);
    return_carry_clear(code);
    otherwise(code);
    return_carry_set(code, 0x81); /* PCI BIOS: function not there */
}

/* --- all of it -------------------------------------------------------------------------------------------- */

static uint16_t emit_table(struct code *code, const struct boot_region *map, unsigned regions)
{
    uint16_t table = here(code);
    for (unsigned i = 0; i < regions; i++) {
        uint8_t entry[E820_BYTES];
        boot_put(entry, map[i].base, 8);
        boot_put(entry + 8, map[i].len, 8);
        boot_put(entry + 16, map[i].type, 4);
        emit(code, entry, sizeof(entry));
    }
    return table;
}

static void emit_system(struct code *code, const struct boot_region *map, unsigned regions,
                        uint16_t table)
{
    uint64_t low_end = MIB1;
    for (unsigned i = 0; i < regions; i++)
        if (map[i].base == MIB1)
            low_end += map[i].len;
    emit_e820(code, table, (uint8_t)regions);
    emit_memory_sizes(code, low_end);
    emit_a20(code);
    return_carry_set(code, 0x86);
}

static void set_vectors(struct code *code, unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        code->calls->offset[first + i] = here(code);
}

void bios_calls_build(const struct boot_region *map, unsigned regions, struct bios_calls *calls)
{
    struct code made = { .calls = calls }, *code = &made;
    memset(calls, 0, sizeof(*calls));
    uint16_t table = emit_table(code, map, regions);
    set_vectors(code, 0, BIOS_VECTORS);
    iret(code);
    set_vectors(code, 0x08, 1);
    emit_timer(code);
    set_vectors(code, 0x09, 7);
    emit_end_of_interrupt(code, false);
    set_vectors(code, 0x70, 8);
    emit_end_of_interrupt(code, true);
    set_vectors(code, 0x10, 1);
    emit_video(code);
    set_vectors(code, 0x11, 1);
    emit_word(code, 0x10);
    set_vectors(code, 0x12, 1);
    emit_word(code, 0x13);
    set_vectors(code, 0x13, 1);
    return_carry_set(code, 0x01);
    set_vectors(code, 0x15, 1);
    emit_system(code, map, regions, table);
    set_vectors(code, 0x16, 1);
    emit_keyboard(code);
    set_vectors(code, 0x18, 2); /* nothing to boot: start again */
    calls->reset = here(code);
    CODE(0xba, WORD(0xcf9), 0xb0, 0x02, 0xee, 0xb0, 0x06, 0xee); /* out cf9h, 2; out cf9h, 6 */
    CODE(0xfa, 0xf4, 0xeb, 0xfd);                                /* cli; hlt */
    set_vectors(code, 0x1a, 1);
    emit_clock(code);
}

void bios_calls_vectors(const struct bios_calls *calls, uint8_t table[BIOS_VECTOR_TABLE_BYTES])
{
    for (unsigned i = 0; i < BIOS_VECTORS; i++) {
        boot_put(table + 4 * i, calls->offset[i], 2);
        boot_put(table + 4 * i + 2, BIOS_CALLS_SEGMENT, 2);
    }
}
