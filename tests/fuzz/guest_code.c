/* Instructions from bytes: patterns with holes that the input fills. */
#include <assert.h>

#include "svm/vmcb.h"
#include "tests/fuzz/guest.h"

/* A pattern is hexadecimal bytes and holes:
 *   X           REX prefix or none
 *   o, q        3 or 4 bits ORed into the byte before
 *   B, W, Q     1, 2, 8 bytes;   A  4 bytes: a number worth trying
 *   mN, mr      ModRM of any form with reg = N or any, with SIB and displacement
 *   gN, gr      the same, register form only
 *   J, D        branch displacement of 1, 4 bytes
 *   P, R, S     port number, MSR number, selector (1 byte)
 *   T V K L F   addresses in 4 bytes: table entry, VMCB field, code near here, local APIC, far pointer
 * Memory operands with a fixed address have ModRM xx000100b and SIB 25h. */
/* clang-format off */
static const char *const patterns[] = {
    /* plain instructions, most with hot handlers */
    "X89mr", "X8bmr", "88mr", "8amr", "6689mr", "X8dmr", "Xc7m0A", "c6m0B", "X0fb6mr", "X0fbemr",
    "X63mr", "X87mr", "X01mr", "X03mr", "X29mr", "X2bmr", "X31mr", "X39mr", "X3bmr", "X85mr",
    "X11mr", "X19mr", "X81mrA", "X83mrB", "80mrB", "3cB", "Xffmr", "Xfemr", "Xf7mr", "Xf6m3",
    "Xf7m0A", "Xc1mrB", "Xd3mr", "Xd1mr", "X0fafmr", "X69mrA", "X0fa4mrB", "X0fbam5B", "X0fabmr",
    "X0fa3mr", "0f90qm0", "X0f40qmr", "X98", "X99", "X0fc8o", "f0X01mr", "f0X0fb1mr", "f0X0fc1mr",
    "f0X0fbam6B", "X0fc7m1", "Xb8oA", "48b8oQ", "49b8oQ", "X50o", "X58o", "68A", "6aB", "8fm0",
    "c8BB00", "c9", "9f", "9e", "f5", "fc", "fd", "0f0b", "d7", "0f18mr", "0faem7", "0f0dm1",
    "67X8bmr", "64X8bmr", "65X89mr", "X0f38f0mr", "d9m5", "d9m7", "9b",
    /* branches */
    "70qJ", "70qJ", "75J", "0f80qD", "ebJ", "e9D", "e8D", "c3", "c2W", "e2J", "e0J", "e3J", "ffm2",
    "ffm4", "ffg2", "39c074J", "X83mrB70qJ", "X85mr70qJ", "ffc975J", "X8bmr48ffc174J",
    "b904000000ffc175fc", "488d05D50c3", "b9B000000e2fe",
    /* strings */
    "b9B000000f3Xa4", "b9B000000f3Xa5", "b9B000000f3Xaa", "b9B000000f3Xab", "b9W0000f3Xab", "f3Xac",
    "Xad", "b9B000000f3Xa6", "f2Xae", "f3Xaf", "a4", "Xab", "a6", "fdb9B000000f3Xa5", "48b9Qf3Xab",
    "48b9Qf3a4", "bfAb9B000000f3Xab", "bfKbeAb9B000000f3a4", "beAb9B000000f3Xa5", "67f3Xaa", "64a5",
    "65f3Xa4", "66baP00b9B000000f36c", "66baP00f36e", "6d", "48bfQ48beQf3a4", "bfTb9B000000f3Xab",
    "bfKb908000000f3aa",
    /* flags, interrupts */
    "fa", "fb", "fb", "fbf4", "f4", "9c9d", "9c0fba3c24B9d", "9c804c2401019d", "9c804c2401029d",
    "9c804c2402019d", "9c804c2402049d", "66c704240202669d", "cc", "cdB", "cd80", "f1", "fbcc",
    "8ed09c9d", "8cd08ed0", "8cd08ed0cc", "8cd08ed0f1", "8cd08ed0f390", "8cd08ed08ed0",
    "8cd08ed0fb", "fb8cd08ed090", "f390", "fb9c804c2401019d90f3aa",
    /* far transfers, changes of privilege */
    "48cf", "cf", "66cf", "cb", "48cb", "caW", "ffm5", "ffm3", "48ff1c25F", "48ff1c25F",
    "48ff2c25F", "ff1c25F", "8cd050549c8cc850488d05D5048cf",
    "8cd050549c0fba2c24B8cc850488d05D5048cf", "6a23549c6a2b488d05D5048cf",
    "6a23549c0fba2c24B6a2b488d05D5048cf", "6a23549c6a33488d05D5048cf", "6a10549c6a08488d05D5048cf",
    "6a10549c6a18488d05D5048cf", "6aS68A68W00006aS68A48cf", "6a18488d05D5048cb", "6aS68A48cb",
    "0f05", "0f07", "480f07", "0f34", "0f35", "480f35", "488d0dD9c415b480f07",
    "488d0dD49c7c302020000480f07", "488d0dD49c7c302030000480f07", "488d1dD53c3", "5c", "bcA",
    "48bcQ", "4883e4B", "488d15D4889e1480f35",
    /* segments and tables */
    "8emr", "8cmr", "8ec0", "8ed8", "b8S0000008ed8", "b8S0000008ed0", "b8S0000008ee0",
    "b8S0000008ee8", "0fa1", "0fa9", "0fb2mr", "X0fb4mr", "0f00m0", "0f00m1", "0f00m2", "0f00m3",
    "0f00m4", "0f00m5", "0f02mr", "0f03mr", "b8480000000f00d0", "b8380000000f00d8", "0f01m0",
    "0f01m1", "0f01m2", "0f01m3", "0f01m4", "0f01m6", "0f011c25A", "0f011425A", "0f01f8", "0f01f9",
    "f3X0faeg0", "f3X0faeg2", "f3X0faeg3", "0f010c25A", "0f010425A",
    /* control registers, MSRs */
    "0f20gr", "0f22gr", "440f20gr", "440f22gr", "0f20c00fbaf8B0f22c0", "0f20e00fbaf8B0f22e0",
    "0f20d80f22d8", "b8A0f22d8", "0f20d8480fbae83f0f22d8", "b8A0f22c0", "b8B000000440f22c0",
    "0f21gr", "0f23gr", "0f20c025ffffff7f0f22c0", "b9R0f32", "b9R0f320fbaf8B0f30",
    "b9R0f320fbafaB0f30", "b9Rb8A31d20f30", "b9Rb8A990f30", "b9R48b8Q4889c248c1ea200f30",
    "b9800000c00f320fbaf8B0f30", "b91b0000000f320fbaf8B0f30", "b91b000000b8A31d20f30", "0f30",
    "0f32", "0f31", "0fa2", "0f33", "0f06", "0f08", "0f09", "0f01ca", "0f01cb", "660f3882mr",
    "b801000000660f38820425A", "0f21f80fbaf8B0f23f8", "0f01d0",
    /* page tables, TLB */
    "480fba3c25TB", "480fba3c25TB0f013c25A", "48c70425TA", "800425TB", "48833425TB", "48810c25TA",
    "0f013c25A", "0f01m7", "480fba3c25TB0f20d80f22d8", "0fae3c25A", "8a0425A", "880425A",
    "488b0425A", "48890425A", "ff0425A", "f0480fba2c25TB", "480fba3425TB8a0425A",
    "488b0425T48890425T", "480fba3c25TB880425A",
    /* code that changes */
    "c60425KB", "c70425KA", "48890425K", "800425KB", "66c70425KW", "ff0425K", "f0fe0425K",
    "8f0425K", "bfKaa", "bfK48ab", "c60425K90c60425K90", "48c70425KA75J", "fe0425KebJ",
    "c60425KB0f013c25A",
    /* AMD-V */
    "b8000002000f01d8", "b8000002000f01d80f01dc", "b8000002000f01d80f01dcebJ",
    "b8007002000f01d80f01dc", "0f01d8", "0f01da", "0f01db", "0f01d9", "0f01d9", "0f01dc", "0f01dd",
    "0f01dd0f01dc", "0f01df", "0f01de", "b8000002000f01da", "b8007002000f01db",
    "b8Ab9B0000000f01df", "b8A0f01d8", "803425VB", "803425VB", "c70425VA", "48c70425VA", "c60425VB",
    "480fba3c25VB", "c7042578050200A", "83042578050200B",
    "b8000002000f01d883042578050200B0f01dcebJ", "48c7042578050200Kb8000002000f01d8",
    "c704255c000200B000000b8000002000f01d8", "48c70425a8000200Ab8000002000f01d8",
    "488b0425c80002004889042578050200b8000002000f01d8", "0fba3c250c000200B", "0fba3c2510000200B",
    "0fba3c2508000200B", "b9170101c0b8A31d20f30", "b9140101c00f320fbaf8B0f30", "800c2591000200B",
    "480fba3c2590000200000f01d8", "488b0425c80002004885c07408488904257805020090b8000002000f01d8ebJ",
    /* devices */
    "e4P", "e6P", "ec", "ee", "ed", "ef", "66ef", "b0Be6P", "66baP00ec", "66baP00b0Bee",
    "66baf803b0Bee", "b034e643b0Be640b000e640", "b030e643b0Be640b000e640", "b0Be621", "b020e620",
    "c70425LA", "c70425LB000000", "8b0425L", "c70425b0001f0000000000",
    "c7042520031f00B000000c70425e0031f000b000000c7042580031f00B000000",
    "c7042520031f00B000200c70425e0031f000b000000c7042580031f00B000000", "fbc7042520031f00B000000c70425e0031f000b000000c7042580031f00B000000b9B000000ffc975fc",
    "fbc7042520031f00B000200c70425e0031f000b000000c7042580031f00B000000b9B0000008b0424ffc975f9",
    "b9B000000be90031f00bfAf3a5", "c7042500031f00B440400",
    "c7042500031f00B400400", "c7042500031f00A", "c7042580001f00B000000", "48890425A", "66890425L",
    "480fba3c25LB", "c70425f0001f00B010000",
};
/* clang-format on */
#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

/* --- numbers -------------------------------------------------------------------------------- */

static const uint32_t numbers[] = {
    0,
    1,
    2,
    PML4_SPA,
    PDPT_SPA,
    PD_SPA,
    PT_SPA,
    RIGHTS_SPA,
    GDT_SPA,
    IDT_SPA,
    TSS_SPA,
    HANDLER_SPA,
    CODE_SPA,
    CODE_SPA + 0xff8,
    CODE_SPA + 0x1000,
    INNER_CODE_SPA,
    INNER_CODE_SPA + 0xffc,
    CODE_END - 4,
    VMCB_SPA,
    VMCB2_SPA,
    HSAVE_SPA,
    IOPM_SPA,
    MSRPM_SPA,
    NPML4_SPA,
    NPT_SPA,
    STACK,
    INNER_STACK,
    RSP0,
    DATA_SPA,
    DATA_SPA + 0xffc,
    DATA_SPA + 0x800,
    0x9f000,
    0x9fffc,
    0xa0000,
    ROM_SPA,
    ROM_SPA + 0xff8,
    0xf0000,
    0x100000,
    GUEST_RAM - 8,
    GUEST_RAM - 0x1000,
    GUEST_RAM,
    LAPIC_LA,
    LAPIC_LA + 0x320,
    0x1ffff8,
    0x200000 + CODE_SPA,
    0x200000 + DATA_SPA,
    0x200000 + PT_SPA,
    0x400000 + CODE_SPA,
    0x400000 + STACK,
    RIGHTS_LA,
    RIGHTS_LA + 0x7000,
    RIGHTS_LA + 8 * CODE_SPA,
    RIGHTS_LA + 8 * (DATA_SPA + 0x1000),
    0x40000000 + CODE_SPA,
    0x40000000 + DATA_SPA,
    0x7ffffff8,
    0x80000000 + CODE_SPA,
    0x80000000 + DATA_SPA,
    0xc0000000 + CODE_SPA,
    0xfee00000,
    0xfee00080,
    0xfffffff8,
    0xfffff000,
    0xffffffff,
    0x80050033,
    0x202,
    0x302,
    0x10202,
    0x800,
    0x80000b0e,
    0x80000400,
};

uint32_t guest_number32(struct reader *in)
{
    uint8_t choice = read8(in);
    if (choice >= 0xf0)
        return (uint32_t)read_bytes(in, 4);
    uint32_t number = numbers[choice % (sizeof(numbers) / sizeof(numbers[0]))];
    return choice & 0x80 ? number + (uint32_t)(int32_t)(int8_t)read8(in) : number;
}

uint64_t guest_number64(struct reader *in)
{
    uint8_t choice = read8(in);
    uint64_t number = guest_number32(in);
    switch (choice % 12) {
    case 0: return number | 0xffff800000000000u;
    case 1: return number | 0xffffffff80000000u;
    case 2: return 0x00007fffffffffffu - (number & 0xf);
    case 3: return 0x0000800000000000u - (number & 0xf);
    case 4: return 0xffff800000000000u - (number & 0xf);
    case 5: return UINT64_C(1) << (number & 63);
    case 6: return UINT64_MAX - (number & 0xff);
    case 7: return number | read_bytes(in, 4) << 32;
    case 8: return number | UINT64_C(1) << 63;
    default: return number;
    }
}

static uint32_t table_entry(struct reader *in)
{
    static const uint32_t table[] = { PML4_SPA,   PDPT_SPA,  PD_SPA,  PT_SPA,  PT_SPA + 0x80,
                                      NPML4_SPA,  NPDPT_SPA, NPD_SPA, NPT_SPA, NPT_SPA + 0x80,
                                      RIGHTS_SPA, GDT_SPA,   IDT_SPA };
    uint8_t choice = read8(in);
    return table[choice % (sizeof(table) / sizeof(table[0]))] + 8u * (read8(in) % 64);
}

static uint32_t vmcb_address(struct reader *in)
{
    uint8_t choice = read8(in);
    unsigned offset = vmcb_fields[choice % VMCB_FIELD_COUNT].offset;
    return (choice & 0x80 ? VMCB2_SPA : VMCB_SPA) + offset;
}

static uint32_t msr_number(struct reader *in)
{
    static const uint32_t number[] = { 0x10,       0x1b,       0xfe,       0x174,      0x175,
                                       0x176,      0x1d9,      0x200,      0x201,      0x250,
                                       0x277,      0x2ff,      0x400,      0xc0000080, 0xc0000081,
                                       0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101,
                                       0xc0000102, 0xc0000103, 0xc0010015, 0xc0010114, 0xc0010117,
                                       0xc0011002, 0x3b,       0x1a0,      0xc0010010, 0xc0001fff,
                                       0x2000 };
    uint8_t choice = read8(in);
    return choice >= 0xf0 ? (uint32_t)read_bytes(in, 4)
                          : number[choice % (sizeof(number) / sizeof(number[0]))];
}

static uint8_t port_number(struct reader *in)
{
    static const uint8_t port[] = { 0x20, 0x21, 0xa0, 0xa1, 0x40, 0x42, 0x43,
                                    0x61, 0x70, 0x71, 0x80, 0x92, 0xf4 };
    uint8_t choice = read8(in);
    return choice & 0x80 ? choice : port[choice % sizeof(port)];
}

static uint8_t selector(struct reader *in)
{
    static const uint8_t sel[] = { 0,    3,    0x08, 0x10, 0x18, 0x23, 0x2b, 0x33,
                                   0x38, 0x48, 0x50, 0x58, 0x60, 0x68, 0x70, 0x0c };
    uint8_t choice = read8(in);
    return choice & 0x80 ? choice : sel[choice % sizeof(sel)];
}

/* --- patterns ------------------------------------------------------------------------------------ */

struct writer {
    uint8_t *code;
    unsigned at, room;
    uint64_t la;
};

static void put(struct writer *w, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes && w->at < w->room; i++)
        w->code[w->at++] = (uint8_t)(value >> 8 * i);
}

/* reg: 0-7, or any other: the input says. */
static void put_modrm(struct reader *in, struct writer *w, unsigned reg, bool memory)
{
    uint8_t form = read8(in);
    if (reg > 7)
        reg = read8(in) & 7;
    unsigned rm = form & 7;
    if (!memory || (form >> 3 & 7) == 0) { /* a register */
        put(w, 0xc0 | reg << 3 | rm, 1);
        return;
    }
    switch (form >> 6) {
    case 0: /* [number] */
        put(w, reg << 3 | 4, 1);
        put(w, 0x25, 1);
        put(w, guest_number32(in), 4);
        return;
    case 1: /* RIP-relative */
        put(w, reg << 3 | 5, 1);
        put(w, (uint64_t)(int64_t)(int8_t)read8(in), 4);
        return;
    case 2: /* [reg + disp8], rsp included */
        put(w, 0x40 | reg << 3 | rm, 1);
        if (rm == 4)
            put(w, 0x24, 1);
        put(w, read8(in), 1);
        return;
    default: /* [base + index * scale + number] */
        put(w, 0x80 | reg << 3 | 4, 1);
        put(w, read8(in), 1);
        put(w, guest_number32(in), 4);
    }
}

/* A hole that is one number. */
static bool put_number(struct reader *in, struct writer *w, char hole)
{
    uint64_t here = w->la + w->at;
    switch (hole) {
    case 'B': put(w, read8(in), 1); return true;
    case 'W': put(w, read_bytes(in, 2), 2); return true;
    case 'A': put(w, guest_number32(in), 4); return true;
    case 'Q': put(w, guest_number64(in), 8); return true;
    case 'J': put(w, (uint64_t)((int8_t)read8(in) / 2), 1); return true;
    case 'D':
        put(w, (uint64_t)(int64_t)(int16_t)(int8_t)read8(in) * (read8(in) & 1 ? 16 : 1), 4);
        return true;
    case 'P': put(w, port_number(in), 1); return true;
    case 'R': put(w, msr_number(in), 4); return true;
    case 'S': put(w, selector(in), 1); return true;
    case 'T': put(w, table_entry(in), 4); return true;
    case 'V': put(w, vmcb_address(in), 4); return true;
    case 'K': put(w, here + (uint64_t)(int64_t)(int8_t)read8(in) / 4, 4); return true;
    case 'F': put(w, FAR_SPA + 16u * (read8(in) % FAR_COUNT), 4); return true;
    case 'L': put(w, LAPIC_LA + 16u * (read8(in) & 0x3f), 4); return true;
    default: return false;
    }
}

static unsigned hex(char c)
{
    return c <= '9' ? (unsigned)c - '0' : (unsigned)c - 'a' + 10;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static void put_pattern(struct reader *in, struct writer *w, const char *p)
{
    while (*p) {
        if (is_hex(p[0]) && is_hex(p[1])) {
            put(w, hex(p[0]) << 4 | hex(p[1]), 1);
            p += 2;
        } else if (*p == 'm' || *p == 'g') {
            put_modrm(in, w, p[1] == 'r' ? 8 : hex(p[1]), *p == 'm');
            p += 2;
        } else if (*p == 'X') {
            uint8_t rex = read8(in);
            if (rex & 3)
                put(w, 0x40 | (rex & 1 ? 8 : 0) | (rex >> 4 & 7), 1);
            p++;
        } else if (*p == 'o' || *p == 'q') {
            uint8_t bits = read8(in) & (*p == 'o' ? 7 : 15);
            if (w->at > 0)
                w->code[w->at - 1] |= bits;
            p++;
        } else {
            bool known = put_number(in, w, *p);
            assert(known);
            (void)known;
            p++;
        }
    }
}

/* Pad to the next 16 bytes, where the handlers that skip an instruction go on. */
static void pad(struct writer *w)
{
    unsigned gap = (16 - w->at % 16) % 16;
    if (gap >= 2) {
        put(w, 0xeb, 1);
        put(w, gap - 2, 1);
    }
    while (w->at % 16 != 0 && w->at < w->room)
        put(w, 0x90, 1);
}

void guest_write_code(struct reader *in, unsigned count, bool padded, uint8_t *code, unsigned room,
                      uint64_t la, uint64_t back)
{
    struct writer w = { .code = code, .room = room, .la = la };
    size_t theme =
        read8(in) * PATTERNS / 256; /* half of all pieces come from one part of the table */
    for (unsigned i = 0; i < count && in->left > 0 && w.at < room; i++) {
        unsigned choice = (unsigned)read_bytes(in, 2);
        if (choice >= 0xfe00) { /* anything */
            put(&w, read_bytes(in, 4), 4);
            continue;
        }
        bool of_theme = choice & 0x8000;
        put_pattern(in, &w,
                    patterns[of_theme ? (theme + choice % 24) % PATTERNS : choice % PATTERNS]);
        if (padded)
            pad(&w);
    }
    put(&w, 0xe9, 1);
    put(&w, back - (la + w.at + 4), 4);
}
