/* Code of 16, 32 and 64 bits from bytes: patterns with holes that the input fills, and bytes as they come. */
#include <string.h>

#include "svm/vmcb.h"
#include "tests/fuzz/modes.h"

/* A pattern is hexadecimal bytes and holes:
 *   B, W, Z  1, 2, 1 of 4 bytes;   N, D  2 bytes in 16-bit code, else 4, or always 4: a number worth trying
 *   J  a short branch's displacement;   mN, mr  ModRM of any form with reg = N or any;   o, q  3 or 4 bits of the byte before
 *   O, A  prefixes 66, 67 in 16-bit code only;   T  prefix 66 in other code only;   U  FS (all of memory) with a 32-bit address
 *     and operand; ModRM x4 25 and 4 bytes must follow
 *   S, t  a selector (2 bytes): any, a task or gate;   F  a far pointer (offset N, then selector);   G  far JMP to good code
 *   X  4 bytes, the address of a far pointer;   C  a value of CR3;   E  a byte of some table;   V, Y  a field of the VMCB, of the
 *     SMM save area;   lNN, i0, i1  a register of the local APIC, of the IOAPIC;   K  nearby code
 *   R, x  the number of an MSR, of x2APIC (4 bytes);   P  of a port (2 bytes)
 * Append patterns at the end of the table: those before keep their numbers, and the corpus its meaning. */
/* clang-format off */
static const char *const patterns[] = {
    /* plain */
    "89mr", "8bmr", "88mr", "8amr", "8dmr", "c7m0N", "01mr", "2bmr", "39mr", "85mr", "b8oN", "50o", "58o", "40o", "48o",
    "fem0", "ffm6", "8fm0", "0fb6mr", "69mrN", "f7m4", "f7m6", "d3m4", "0fa4mrB", "60", "61", "c8BB00", "c9", "27", "2f",
    "37", "3f", "d40a", "d5B", "d7", "d6", "62mr", "ce", "98", "99", "9c", "9d", "9e", "9f", "0fa3mr", "f00fabmr", "0fc7m1",
    "66b8oWW", "6689mr", "66ffm6", "668bmr", "678b00", "67668b04B", "8a46B", "668956B", "8b1eN", "a1N", "a3N", "8706N",
    "0fbam4B", "0fbam6B", "0fbcmr", "f30fbdmr", "f30fb8mr", "0fc8o", "0fadmr", "c1mrB", "d1mr", "d2mr", "80mrB", "83mrB",
    "0f90qm0", "0f40qmr", "0fc1mr", "0fb1mr", "0f38f0mr", "0fafmr", "f6mr", "c4e268f2mr", "c4e270f7mr", "c4e27bf5mr",
    "0fb3mr", "0fbbmr", "0fbemr", "86mr", "87mr", "91", "f5", "f9", "fc", "fd", "a8B", "0ca0", "d9m5", "d9m7", "dfe0", "dbe3",
    "660f38f6mr", "f20f38f1mr", "0fc7m6", "0fc7m7", "f30fc7m7",
    /* branches */
    "74J", "75J", "ebJ", "e8N", "e9N", "c3", "c2W", "e2J", "e0J", "e3J", "67e2J", "67e3J", "ffm2", "ffm4", "Ob90500000049O75fc",
    "66ebJ", "66c3", "66e8WW", "0f84N", "7fJ", "33c074J", "e1J", "70qJ", "0f80qW0000", "40ebJ",
    /* strings */
    "b91000f3aa", "Ob908000000f3a5", "Ob910000000f3a4", "f3ab", "fcacaa", "a6", "af", "f2ae", "fdOb909000000f3a5fc", "67f3a4",
    "66f3ab", "TbaPOb903000000f36c", "6e", "6d", "bfNOb910000000f3ab", "beNOb910000000f3a4", "64a4", "26ad", "f36f", "f3a6",
    "ObfKOb902000000f3aa", "ObfEb0Baa",
    /* segments */
    "8emr", "8cmr", "06", "07", "0e", "16", "17", "1e", "1f", "0fa0", "0fa1", "0fa8", "0fa9", "Tb8S8ed8", "6aSB1f", "Tb8S8ed0",
    "Tb8S8ee0", "c5mr", "c4mr", "0fb2mr", "0fb4mr", "0fb5mr", "0f00m0", "0f00m1", "0f00m2", "0f00m3", "0f00m4", "0f00m5",
    "0f02mr", "0f03mr", "63mr", "0f01m0", "0f01m1", "0f01m2", "0f01m3", "0f01m4", "0f01m6", "36c606NB", "2e8a06N", "1f07",
    "Tb8S8ec0", "Tb84b000f00d0", "Tb838000f00d8", "Tb860008ed0Obc00ff0000", "Tb860008ed050", "Tb8S0f03c0", "Tb8S0f02c0", "Tb8S0f00e0",
    "U0f011c2580810300", "U0f011c2588810300", "U0f01142590810300",
    /* far transfers, tasks */
    "9aF", "eaF", "ffm3", "ffm5", "cb", "caW", "cf", "66cb", "66cf", "66eaNWS", "0e5055cb", "9c0e50cf", "9c9d",
    "9c0e68Ncf", "68S68Ncb", "9c68S68Ncf", "68S68N9c68S68Ncf", "O9cO58O0d00400000O50O9dOcf", "G", "G", "Uff1425X", "Uff1c25X", "Uff2c25X",
    "O9a00000000t", "Oea00000000t", "9aNt", "eaB000010", "O9c0eO68ZOcf", "O9cO5825ffbfffffO50O9d",
    "O6823000000O68002f0300O9cO6833000000O68DOcf", "O681b000000O68DOcb", "O9cO68S00000068NOcf", "4883e4f0", "48cf", "48cb",
    "O6a00O6a00Ocf", "0f01d0",
    /* virtual-8086 mode */
    "O6800380000O6800380000O6800380000O6800380000O6800300000O68000f0000O6802020200O6800100000O68ZOcf",
    "O6800380000O6800380000O6800380000O6800380000O6800300000O68000f0000O6802B0200O6800100000O68ZOcf",
    "O6800380000O6800380000O6800380000O6800380000O6800300000O68000f0000O6802B1a00O6800100000O68ZOcf",
    "cdB", "fa", "fb", "9c", "9d", "cf", "669c", "669d", "66cf", "fbcd21", "9c58800cB9d", "0f20e034B0f22e0", "e4B", "f4",
    /* interrupts, flags */
    "cdB", "cd10", "cd20", "cd80", "cc", "f1", "fa", "fb", "f4", "fbf4", "fb90f4", "O9cO580d00010000O50O9d", "O9cO5825fffeffffO50O9d",
    "O9cO58O0d00300000O50O9d", "O9cO58O0d00400000O50O9d", "O9cO58O0d00020000O50O9d", "8ed09090", "16179d", "f390", "0f0b", "0fff", "0fb9mr",
    "O9cO58O0d00010000O50O9d16179c", "O9cO58O0d00010100O50O9d90", "8cd08ed0cc", "8cd08ed0f1", "8cd08ed0fb", "fb8cd08ed090", "O9cO58O0d00000400O50O9d",
    "O9cO58O350000B00O50O9d", "O9cO5880f4BO50O9d",
    /* control */
    "0f20c0", "0f22c0", "0f20d80f22d8", "0f20e00f22e0", "0f20c00c010f22c0", "0f20c024fe0f22c0", "0f20c0O35000000800f22c0",
    "0f20c024fe0f22c0eaB000010", "0f20c00c010f22c0G", "0f01f0", "0f06", "0f23c0", "0f23f8", "0f21f0", "0f20gr", "0f22gr", "0f21gr", "0f23gr",
    "0f20e0O0fbaf8B0f22e0", "0f20c0O0fbaf8B0f22c0", "0fa2", "0f31", "0f30", "0f32", "0f33", "Ob9800000c00f32O0fbaf8B0f30",
    "0f34", "0f35", "0f05", "0f07", "0f0138", "0f08", "0f09", "0faa", "0f01f9", "0f01f8", "f30faem0", "f30faem2", "0faem7", "0f18m0",
    "0f20c0O25ffffff7f0f22c0G", "Ob8C0f22d80f20c0O0d010000800f22c0G", "Ob8C0f22d8", "0f20e0O0d300000000f22e0", "0f20e0O0d000020000f22e0",
    "Ob8a00000000f22e0Ob8C0f22d8Ob9800000c00f32O0d000100000f300f20c0O0d010000800f22c0G",
    "0f20c0O25ffffff7f0f22c0Ob9800000c00f32O25fffeffff0f300f20e0O25dfffffff0f22e0G", "0f20c0O25feffff7f0f22c0eaB000010",
    "0f20c0O0d010000800f22c0", "Ob8Z0fa2", "Ob8B0000800fa2", "0f21f80fbaf8B0f23f8", "0f00c8", "440f20c0", "440f22c0",
    /* tables, protection keys */
    "U803425EB", "U800c25EB", "U802425EB", "U0f013c25D", "U803425EBU0f013c25D", "U803425EB0f20d80f22d8", "U800425EB", "U8a0425D", "U880425D",
    "U810c25D00000000", "0f20e0O0d000040000f22e0O31c9O31d2Ob8D0f01ef", "O31c9O31d2Ob8D0f01ef", "O31c90f01ee", "0f01ef", "0f01ee", "660f3882mr",
    "0f01ca", "0f01cb", "U803425KB", "Uc70425KD", "Ob8CO0d080000000f22d8", "0f20e0O0fbaf8070f22e0",
    /* debug registers */
    "Ob8D0f23c0", "Ob8D0f23c8", "Ob8D0f23d0", "Ob8D0f23d8", "Ob8B07BB0f23f8", "Ob8D0f23c0Ob8030700000f23f8", "Ob8D0f23c8Ob80c07B000f23f8",
    "Ob8D0f23d0Ob83007B000f23f8", "Ob8P00000f23d80f20e00c080f22e0Ob8c00700200f23f8", "Ob8ff2700000f23f80f21f0", "Ob9d9010000O31d2Ob8Z0f30",
    "Ob9d9010000O31d2Ob8Z0f30O9cO58O0d00010000O50O9d", "O31c00f23f00f21f0", "Ob8KO0f23c0", "0f21f8", "O9cO58O0d00000100O50O9d",
    /* processors: local APIC */
    "Uc70425l0fff010000", "Uc70425l31000000BUc70425l30BB0000", "Uc70425l30BB0c00", "Uc70425l30BB0400", "Uc70425l30BB0800",
    "Uc70425l3000450c00", "Uc70425l3010460c00", "Uc70425l3000450c00Uc70425l3010460c00", "Uc70425l3000420c00", "Uc70425l3000440c00",
    "Uc70425l30B410c00", "Uc70425l3000c50800", "Uc70425l31BBBBUc70425l30B080000", "Uc70425l0b00000000", "Uc70425lBD", "U8b0425lB", "Uc70425l08Z",
    "Uc70425l0dD", "Uc70425l0eD", "Uc70425l0fff010000Uc70425l32B00B00Uc70425l3e0b000000Uc70425l38Z",
    "Uc70425l32B00B00Uc70425l3eZUc70425l38W0000", "Uc70425l35B00B00", "Uc70425l36B00B00", "Uc70425l37BBB00", "Uc70425l33BBB00",
    "Uc70425l2800000000U8b0425l28", "U8b0425l39", "Uc70425l40D", "Uc70425l42Z", "Uc70425l48BB0000", "Uc70425l50BB0000", "f0U0fba2c25lB05",
    "Ob91b000000O31d2Ob8000ce0fe0f30", "Ob91b0000000f32O0fbaf8B0f30", "Ob91b0000000f3080f4080f30", "Ob9xOb8DO31d20f30", "Ob9x0f32",
    "Ob930080000ObaB000000Ob8BB0c000f30", "Ob930080000O31d2Ob800450c000f30", "Ob930080000O31d2Ob810460c000f30", "Ob93f080000O31d2Ob8Z0f30",
    "Ob932080000O31d2Ob8B00B000f30Ob938080000Ob8Z0f30", "Ob90b080000O31c0O31d20f30", "Ob983080000Ob8DO31d20f30",
    "Uc70425l32B0004000f31O05ZOb9e00600000f30", "0f31O05ZOb9e00600000f30", "Ob9e00600000f32", "fbf4", "f390ebfc", "f390", "0f01c8", "0f01c9",
    "Ob8DO31c9O31d20f01c8O31c0O31c90f01c9", "Ob8DO31c9O31d20f01c8O31c0Ob9010000000f01c9", "440f20c0440f22c0", "f0Uff0425D", "U8b0425D85c074J",
    /* devices */
    "e4B", "e6B", "b0Be692", "e492", "b0Be6b2", "b020e620", "b0Be621", "e440", "b0Be643b0Be640", "ec", "ee", "ed", "ef",
    "66ef", "b034e643b0Be640b000e640", "b0Be670e471", "b00be670b0Be671", "TbaPec", "TbaPb0Bee", "TbaPOb8DOef", "TbaPOed", "TbaPTed", "TbaPTb8WTef",
    "Uc70425i0ZUc70425i1D", "Uc70425i0ZU8b0425i1", "Uc70425i0B000000Uc70425i1BB0000", "Uc70425i0B000000Uc70425i1BB0100", "Uc70425i014000000Uc70425i1Ba00000",
    "Tba1005Tb8B00Tef", "Tba1105ec", "Tba1105Ob901000000f36c", "Tba1405O31c0OefTba1805Ob800038000Oef", "Tba1805Ob8000380BOef",
    "Uc7042500800300000000BUc70425048003000000BBUc704250880030000000000Uc704250c800300000385BTba1805Ob800038000Oef",
    "b0Be661", "b011e620b0Be621b0Be621b0Be621", "b0Be620", "Tbad004b0Bee", "b00ae670b026e671b00be670b042e671b0fbe621b0fee6a1", "b00ce670e471",
    "TbaP20Ob801000000ee", "Tbaf803b0Bee", "Tbae000Ob8DOef", "Tbae400Ob8DOef", "b0fee664", "e464", "b0d1e664b0Be660", "e4b3", "b0Be6b3",
    /* SMM */
    "b0Be6b2", "0faa", "U803425YB", "U803425YB", "Uc70425YD", "U8b0425Y", "Uc70425007e0400D", "Uc60425c8be0400ff", "Uc60425c9be0400B",
    "Ob9160101c0O31d2Ob8Z0f30", "Ob9110101c00f32O05000200000f30", "Ob9130101c0O31d2Ob8B00BB0f30", "Ob9120101c0O31d2Ob80000BB0f30",
    "Ob9150001c00f32O0fbaf8B0f30", "Ob9140101c00f32O0fbaf8B0f30", "Ob9560001c0O31d2Ob8D0f30",
    /* MSRs */
    "Ob9R0f32", "Ob9R0f32O0fbaf8B0f30", "Ob9R0f32O0fbafaB0f30", "Ob9ROb8DO31d20f30", "Ob9Ob8D990f30", "Ob9R0f320f30", "Ob9ff020000O31d2Ob8B0c00000f30",
    "Ob9B020000O31d2Ob8D0f30", "Ob977020000Ob806040700Oba060407B0f30", "Ob9500200000f32O0fbaf8B0f30", "Ob9800000c0O31d2Ob8BB00000f30",
    /* AMD-V */
    "Ob800000200A0f01d8", "Ob800000200A0f01d80f01dc", "Ob800000200A0f01da", "Ob800000200A0f01db", "0f01d9", "0f01d9", "0f01dc", "0f01dd", "0f01de",
    "0f01d8", "0f01da", "0f01db", "A0f01df", "Ob8DO31c9A0f01df", "Ob8DOb901000000A0f01df", "U803425VB", "U803425VB", "Uc70425VD", "U0fba3c25VB", "U8b0425V",
    "Uc70425a8000200BB0080Ob800000200A0f01d8", "Uc70425a8000200B030080Ob800000200A0f01d8", "Uc604255c000200BOb800000200A0f01d8",
    "U8b0425c8000200U89042578050200Ob800000200A0f01d8", "U8334259000020001Ob800000200A0f01d8", "Uc70425c000020000000000", "U810c250c000200D",
    "U80342510000200B", "Uc7042578050200KOb800000200A0f01d8", "U803425VBOb800000200A0f01d8", "Ob9170101c00f32", "Ob9140101c0O31d2Ob8Z0f30",
    "U800c256100020001U8034250d00020010Ob800000200A0f01d8", "0f01dd0f01dc", "0f01ddf40f01dc", "Ob800000002A0f01de",
    /* what the above seldom gets right */
    "Uc70425fcbe0400D", "Uc7042558bf0400D", "Uc704255cbf0400D", "Uc7042548bf0400D", "Uc7042554bf0400D", "Uc70425d0be0400D",
    "Uc7042564bf0400D", "Uc7042512be0400B000000", "Ob9160101c0O31d2Ob8020000000f30", "Ob9160101c0O31d2Ob8080000000f30",
    "Ob9140101c00f32O0fbae8010f30", "Uc70425l0fff010000Uc70425l35B800000", "Uc70425l0fff010000Uc70425l36B800000",
    "Ob91b000000O31d2Ob80000e0fe0f30", "Uc70425l4107000000Uc70425l48BBBB", "Uc70425l4107000000Uc70425l42B000000",
    "Uc70425l33BB0000Uc70425l30B000000",
    "Uc70425l0fff010000Uc70425i014000000Uc70425i1B000000b034e643b0Be640b000e640", "Uc70425i020000000Uc70425i1B800000",
    "Uc70425i018000000Uc70425i1B800000Tbaf903b003ee", "b00ae670b076e671b00ae670b026e671", "b00be670b082e671b00be670b002e671",
    "b036e643b0Be640b000e640b0Be640b000e640", "b0b2e643b0Be642b000e642b001e661b000e661b001e661", "b016e643b0Be640", "b0bae643b0Be642b000e642b0Be661",
    "b0d2e643e440e440", "Ob8B000000660f3882mr", "Tba1005Tb80300TefTba1105ec", "Tba1005Tb80500TefTba1105ec", "Tba1005Tb81900TefTba1105ececec",
    "Tba0420b001ee", "Tba0420b000ee", "Ob906080000Ob8DO31d20f30", "fbUc70425l0fff010000Uc70425l30BB0400", "fbb0Be692f4",
    /* shadow stacks: their instructions, MSRs, stores to them and to the same memory at 2 MiB */
    "f30f1ec8o", "f3480f1ec8o", "f30faee8o", "Ob801000000f30faee8", "f30f01ea", "f8f30f01ea", "f30f01m5", "f30f01e8", "f30faem6",
    "0f38f6mr", "660f38f5mr", "U0f38f60425W0600", "Uf30f012c25W0600", "Uf30fae3425f8250600", "Uc70425W2600D", "f30f01e8Uf30fae3425f8290600",
    "Ob9a0060000O31d2Ob803000000f30", "Ob9a0060000O31d2Ob8Z0f30", "Ob9a2060000O31d2Ob803000000f30", "Ob9a2060000O31d2Ob8Z0f30",
    "Ob9a4060000O31d2Ob8f82306000f30", "Ob9a4060000O31d2Ob8W06000f30", "Ob9a7060000O31d2Ob8W06000f30", "Ob9a8060000O31d2Ob8W06000f30",
    "Ob9a7060000f32", "0f20e0O0fbaf8170f22e0", "0f20e0O0fbae8170f22e0",
};
/* clang-format on */
#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))
#define PATTERNS_MOST 1024u
_Static_assert(PATTERNS <= PATTERNS_MOST, "the choice of a pattern has 10 bits");
#define THEME 24u /* half of all pieces come from a part of the table */

struct writer {
    struct reader *in;
    uint8_t *code;
    unsigned at, room, bits;
    uint32_t la;
    bool paged;
};

static void put(struct writer *w, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes && w->at < w->room; i++)
        w->code[w->at++] = (uint8_t)(value >> 8 * i);
}

static void put_number(struct writer *w)
{
    put(w, guest_number32(w->in), w->bits == 16 ? 2 : 4);
}

/* --- holes that are a choice ------------------------------------------------------------------ */

/* One of 64 descriptors, or anything. */
static void put_selector(struct writer *w)
{
    uint8_t choice = read8(w->in);
    put(w, choice < 0xf0 ? (choice & 0x3fu) << 3 | choice >> 6 : read_bytes(w->in, 2), 2);
}

static void put_task(struct writer *w)
{
    uint8_t choice = read8(w->in);
    put(w, 8u * (E_GATES + (choice & 31)) | (choice >> 5 & 7), 2);
}

/* The 64-bit form goes through memory. */
static void put_far_jump(struct writer *w)
{
    static const struct {
        uint32_t offset;
        uint16_t selector;
    } to[] = { { 0, 8 * E_CODE16 },
               { CODE32_SPA, 8 * E_CODE32 },
               { CODE64_SPA, 8 * E_CODE64 },
               { CODE32_SPA, 8 * E_CODE32_3 + 3 } };
    uint8_t choice = read8(w->in);
    unsigned n = choice & 3;
    if (w->bits == 64) {
        put(w, 0x252cff, 3);
        put(w, FAR_SPA + 16 * n, 4);
        return;
    }
    if (w->bits == 16)
        put(w, 0x66, 1);
    put(w, 0xea, 1);
    put(w, to[n].offset + 8u * (choice >> 2), 4);
    put(w, to[n].selector, 2);
}

static uint32_t table_byte(struct reader *in)
{
    static const uint32_t table[] = {
        PML4_SPA,        PDPT_SPA,        PD_SPA,         PT_SPA,          PT_SPA + 0x80, PD32_SPA,
        PT32_SPA + 0x40, PAE_PDPT_SPA,    GDT_SPA,        GDT_SPA + 0x100, LDT_SPA,       IDT_SPA,
        TSS_SPA,         TSS_SPA + 0x100, NPT_SPA + 0x80, NPT32_SPA + 0x40
    };
    uint8_t choice = read8(in);
    return table[choice % (sizeof(table) / sizeof(table[0]))] + read8(in);
}

static uint32_t root_table(struct reader *in)
{
    static const uint32_t root[] = { PD32_SPA, PAE_PDPT_SPA, PML4_SPA, PML4_SPA | 0x18 };
    return root[read8(in) & 3];
}

static uint32_t msr_number(struct reader *in)
{
    static const uint32_t number[] = {
        0x10,       0x1b,       0x3b,       0xfe,       0x174,      0x175,      0x176,
        0x179,      0x17a,      0x17b,      0x1d9,      0x1db,      0x1dc,      0x1dd,
        0x1de,      0x200,      0x201,      0x20f,      0x250,      0x258,      0x26f,
        0x277,      0x2ff,      0x400,      0x401,      0x427,      0x6e0,      0x802,
        0x808,      0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100,
        0xc0000101, 0xc0000102, 0xc0000103, 0xc0000408, 0xc0010000, 0xc0010010, 0xc0010015,
        0xc0010016, 0xc001001a, 0xc001001d, 0xc0010020, 0xc0010030, 0xc0010056, 0xc0010058,
        0xc0010074, 0xc0010111, 0xc0010112, 0xc0010113, 0xc0010114, 0xc0010115, 0xc0010116,
        0xc0010117, 0xc0011002, 0xc0011005, 0xc0011019, 0xc0011027, 0xc0011029, 0x8b,
        0x2000
    };
    uint8_t choice = read8(in);
    return choice >= 0xf0 ? (uint32_t)read_bytes(in, 4)
                          : number[choice % (sizeof(number) / sizeof(number[0]))];
}

static uint16_t port_number(struct reader *in)
{
    static const uint16_t port[] = { 0x20,  0x21,  0xa0,  0xa1,  0x40,  0x42,   0x43,   0x61,
                                     0x60,  0x64,  0x70,  0x71,  0x80,  0x92,   0xb2,   0xe0,
                                     0xe1,  0xe4,  0xe8,  0xf4,  0x3f8, 0x3f9,  0x3fa,  0x3fb,
                                     0x3fc, 0x3fd, 0x402, 0x4d0, 0x510, 0x2004, 0x2018, 0xcf9 };
    uint8_t choice = read8(in);
    return choice >= 0xe0 ? (uint16_t)read_bytes(in, 2) : port[choice & 31];
}

/* Where the APICs answer: mapped low, or where they are. */
static uint32_t apic_base(const struct writer *w, bool io)
{
    if (w->paged)
        return io ? IOAPIC_LA : LAPIC_LA;
    return io ? 0xfec00000 : 0xfee00000;
}

/* --- ModRM ------------------------------------------------------------------------------------- */

static void put_modrm(struct writer *w, unsigned reg, bool memory)
{
    uint8_t form = read8(w->in);
    if (reg > 7)
        reg = form >> 3 & 7;
    unsigned mod = memory ? form >> 6 : 3, rm = form & 7;
    if (mod == 0) { /* [number] */
        put(w, reg << 3 | (w->bits == 16 ? 6 : 5), 1);
        put_number(w);
        return;
    }
    put(w, mod << 6 | reg << 3 | rm, 1);
    if (mod == 3)
        return;
    if (w->bits != 16 && rm == 4)
        put(w, read8(w->in), 1);
    if (mod == 1)
        put(w, read8(w->in), 1);
    else
        put_number(w);
}

/* --- patterns ------------------------------------------------------------------------------------ */

static unsigned hex(char c)
{
    return c <= '9' ? (unsigned)c - '0' : (unsigned)c - 'a' + 10;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool put_prefix(struct writer *w, char hole)
{
    bool wide = w->bits != 16;
    switch (hole) {
    case 'O': put(w, 0x66, !wide); return true;
    case 'A': put(w, 0x67, !wide); return true;
    case 'T': put(w, 0x66, wide); return true;
    case 'U': put(w, 0x666764, wide ? 1 : 3); return true;
    default: return false;
    }
}

static bool put_address(struct writer *w, char hole)
{
    struct reader *in = w->in;
    switch (hole) {
    case 'X': put(w, FAR_SPA + 16u * (read8(in) % FAR_COUNT), 4); return true;
    case 'C': put(w, root_table(in), 4); return true;
    case 'E': put(w, table_byte(in), 4); return true;
    case 'K': put(w, w->la + w->at + (uint32_t)((int8_t)read8(in) / 4), 4); return true;
    case 'V': put(w, VMCB_SPA + vmcb_fields[read8(in) % VMCB_FIELD_COUNT].offset, 4); return true;
    case 'Y': put(w, SMM_SAVE_SPA + 2u * read8(in), 4); return true;
    case 'R': put(w, msr_number(in), 4); return true;
    case 'x': put(w, 0x800u + (read8(in) & 0x7f), 4); return true;
    case 'P': put(w, port_number(in), 2); return true;
    default: return false;
    }
}

static void put_hole(struct writer *w, char hole)
{
    struct reader *in = w->in;
    if (put_prefix(w, hole) || put_address(w, hole))
        return;
    switch (hole) {
    case 'B': put(w, read8(in), 1); break;
    case 'W': put(w, read_bytes(in, 2), 2); break;
    case 'Z': put(w, read8(in), 4); break;
    case 'N': put_number(w); break;
    case 'D': put(w, guest_number32(in), 4); break;
    case 'J': put(w, (uint64_t)((int8_t)read8(in) / 2), 1); break;
    case 'S': put_selector(w); break;
    case 't': put_task(w); break;
    case 'F':
        put_number(w);
        put_selector(w);
        break;
    case 'G': put_far_jump(w); break;
    case 'o':
    case 'q':
        if (w->at > 0)
            w->code[w->at - 1] |= read8(in) & (hole == 'o' ? 7 : 15);
        break;
    default: break;
    }
}

/* A hole of several letters; its length, or 0: it is none. */
static unsigned put_long_hole(struct writer *w, const char *p)
{
    switch (*p) {
    case 'm':
    case 'g': put_modrm(w, p[1] == 'r' ? 8 : hex(p[1]), *p == 'm'); return 2;
    case 'i': put(w, apic_base(w, true) + 16 * hex(p[1]), 4); return 2;
    case 'l':
        if (p[1] == 'B') {
            put(w, apic_base(w, false) + 16u * (read8(w->in) & 0x5f), 4);
            return 2;
        }
        put(w, apic_base(w, false) + 16 * (hex(p[1]) << 4 | hex(p[2])), 4);
        return 3;
    default: return 0;
    }
}

static void put_pattern(struct writer *w, const char *p)
{
    while (*p) {
        if (is_hex(p[0]) && is_hex(p[1])) {
            put(w, hex(p[0]) << 4 | hex(p[1]), 1);
            p += 2;
            continue;
        }
        unsigned length = put_long_hole(w, p);
        if (length == 0) {
            put_hole(w, *p);
            length = 1;
        }
        p += length;
    }
}

/* The part of the table about SMM begins with what changes its save area. */
static unsigned smm_theme(void)
{
    unsigned i = 0;
    while (i < PATTERNS - 1 && !strchr(patterns[i], 'Y'))
        i++;
    return i;
}

/* mov eax, VMCB_SPA; vmrun; stgi; RIP = nRIP, if there is one */
static const char vmrun_loop[] =
    "Ob800000200A0f01d80f01dcU8b0425c8000200U8b0c2578050200O85c0O0f45c8U890c2578050200";

static void put_vector(struct writer *w, unsigned choice)
{
    uint8_t bytes[MODES_INSN_MAX];
    if (choice % 4 == 3) {
        put_pattern(w, modes_vector_pattern(choice / 4));
        return;
    }
    unsigned len = modes_vector_insn(w->in, w->bits, choice / 4, bytes);
    for (unsigned i = 0; i < len; i++)
        put(w, bytes[i], 1);
}

void modes_write_code(struct reader *in, const struct modes_code *what)
{
    struct writer w = { .in = in,
                        .code = what->code,
                        .room = what->room - 4,
                        .bits = what->bits,
                        .la = what->la,
                        .paged = what->paged };
    unsigned theme = what->smm ? smm_theme() : read8(in) * 2u;
    if (what->vmrun)
        put_pattern(&w, vmrun_loop);
    for (unsigned i = 0; i < what->count && in->left > 0 && w.at < w.room; i++) {
        unsigned choice = (unsigned)read_bytes(in, 2);
        if (what->vectors && choice < 0xe000)
            put_vector(&w, choice);
        else if (choice >= 0xf000) /* random bytes */
            put(&w, read_bytes(in, 8), 1 + choice % 8);
        else if (choice & 0x800)
            put_pattern(&w, patterns[(theme + choice % THEME) % PATTERNS]);
        else
            put_pattern(&w, patterns[choice % PATTERNS_MOST % PATTERNS]);
    }
    w.room = what->room;
    if (what->smm)
        put(&w, 0xaa0f, 2);
    put(&w, 0xe9, 1); /* back to the start */
    put(&w, -(uint64_t)(w.at + (w.bits == 16 ? 2 : 4)), w.bits == 16 ? 2 : 4);
}
