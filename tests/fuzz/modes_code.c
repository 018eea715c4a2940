/* Code of 16, 32 and 64 bits from bytes: patterns with holes that the input fills, and bytes as they come. */
#include "tests/fuzz/guest.h"

/* A pattern is hexadecimal bytes and holes:
 *   B, W  1, 2 bytes;   N  2 bytes in 16-bit code, else 4: a number worth trying;   J  a short branch's displacement
 *   mN, mr  ModRM of any form with reg = N or any;   oX  3 bits ORed into the byte before
 *   S  a selector (2 bytes);   F  a far pointer (offset N, then selector) */
/* clang-format off */
static const char *const patterns[] = {
    /* plain */
    "89mr", "8bmr", "88mr", "8amr", "8dmr", "c7m0N", "01mr", "2bmr", "39mr", "85mr", "b8oN", "50o", "58o", "40o", "48o",
    "fem0", "ffm6", "8fm0", "0fb6mr", "69mrN", "f7m4", "f7m6", "d3m4", "0fa4mrB", "60", "61", "c8BB00", "c9", "27", "2f",
    "37", "3f", "d40a", "d5B", "d7", "d6", "62mr", "ce", "98", "99", "9c", "9d", "9e", "9f", "0fa3mr", "f00fabmr", "0fc7m1",
    "66b8oWW", "6689mr", "66ffm6", "668bmr", "678b00", "67668b04B5", "8a46B", "668956B", "8b1eN", "a1N", "a3N", "8706N",
    /* branches */
    "74J", "75J", "ebJ", "e8N", "e9N", "c3", "c2W", "e2J", "e0J", "e3J", "67e2J", "67e3J", "ffm2", "ffm4", "b905004975fd",
    "66ebJ", "66c3", "66e8WW", "0f84N", "7fJ", "33c074J",
    /* strings */
    "b91000f3aa", "b90800f3a5", "b91000f3a4", "f3ab", "fcacaa", "a6", "af", "f2ae", "fdb90900f3a5fc", "67f3a4", "66f3ab",
    "ba4000b90300f36c", "6e", "6d", "bfNb91000f3ab", "beNb91000f3a4", "64a4", "26ad",
    /* segments */
    "8emr", "8cmr", "06", "07", "0e", "16", "17", "1e", "1f", "0fa0", "0fa1", "0fa8", "0fa9", "b8S008ed8", "6aSB1f", "b8S8ed0",
    "b8S8ee0", "c5mr", "c4mr", "0fb2mr", "0fb4mr", "0fb5mr", "0f00m0", "0f00m1", "0f00m2", "0f00m3", "0f00m4", "0f00m5",
    "0f02mr", "0f03mr", "63mr", "0f01m0", "0f01m1", "0f01m2", "0f01m3", "0f01m4", "0f01m6", "36c606NB", "2e8a06N", "1f07",
    /* far transfers, tasks */
    "9aF", "eaF", "9aF", "eaF", "ffm3", "ffm5", "cb", "caW", "cf", "66cb", "66cf", "66eaNWS", "0e5055cb", "9c0e50cf", "9c9d",
    "9c0e68Ncf", "68S68Ncb", "9c68S68Ncf", "68S68N9c68S68Ncf", "9c58350040509dcf", "6662",
    /* interrupts, flags */
    "cdB", "cd10", "cd20", "cd80", "cc", "f1", "fa", "fb", "f4", "fbf4", "fb90f4", "9c580d0001509d", "9c5825fffe509d",
    "9c580d0030509d", "9c580d0040509d", "9c580d0002509d", "8ed09090", "16179d", "f390", "0f0b", "0fff", "0fb9mr",
    /* control */
    "0f20c0", "0f22c0", "0f20d80f22d8", "0f20e00f22e0", "0f20c00c010f22c0", "0f20c024fe0f22c0", "0f20c06635000000800f22c0",
    "0f20c035000000800f22c0", "0f20c024fe0f22c0eaF", "0f20c00c010f22c0eaF", "0f20c024fe660d000000800f22c0", "0f01f0", "0f06", "0f23c0", "0f23f8", "0f21f0", "b80000020f22c0",
    "0f20e00fbaf8B0f22e0", "0f20c00fbaf8B0f22c0", "0fa2", "0f31", "0f30", "0f32", "b980000c00f32", "66b9800000c00f320f30",
    "66b9800000c00f320fbaf8B0f30", "b9800000c00f320fbaf8080f30", "0f34", "0f35", "0f05", "0f07", "0f0138", "0f08", "0f09", "0faa",
    "66b80fff0100000f23f8", "b80f070d000f23f8b8N0f23c0", "0f01ee", "0f01ef", "0f01c8", "0f01c9", "0fc7m6", "0fc7m7", "f30fc7m7",
    "0f01d8", "0f01d9", "0f01dc", "0f01dd", "0f01da", "0f01df", "66b81f0000000f22e0",
    /* devices: the interrupt controllers, the A20 gate, SMI by the APM port, the local APIC in low memory is not there */
    "e4B", "e6B", "b0Be692", "e492", "b0Be6b2", "b020e620", "b0Be621", "e440", "b0Be643b0Be640", "ec", "ee", "ed", "ef",
    "66ef", "b034e643b0Be640b000e640", "b0Be670e471", "b00be670b042e671",
};
/* clang-format on */
#define PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

struct writer {
    struct reader *in;
    uint8_t *code;
    unsigned at, room, bits;
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

/* One of 64 descriptors, or anything. */
static void put_selector(struct writer *w)
{
    uint8_t choice = read8(w->in);
    put(w, choice < 0xf0 ? (choice & 0x3fu) << 3 | choice >> 6 : read_bytes(w->in, 2), 2);
}

static void put_modrm(struct writer *w, unsigned reg)
{
    uint8_t form = read8(w->in);
    if (reg > 7)
        reg = form >> 3 & 7;
    unsigned mod = form >> 6, rm = form & 7;
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

static unsigned hex(char c)
{
    return c <= '9' ? (unsigned)c - '0' : (unsigned)c - 'a' + 10;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static void put_hole(struct writer *w, char hole)
{
    switch (hole) {
    case 'B': put(w, read8(w->in), 1); break;
    case 'W': put(w, read_bytes(w->in, 2), 2); break;
    case 'N': put_number(w); break;
    case 'J': put(w, (uint64_t)((int8_t)read8(w->in) / 2), 1); break;
    case 'S': put_selector(w); break;
    case 'F':
        put_number(w);
        put_selector(w);
        break;
    case 'o':
        if (w->at > 0)
            w->code[w->at - 1] |= read8(w->in) & 7;
        break;
    default: break;
    }
}

static void put_pattern(struct writer *w, const char *p)
{
    while (*p) {
        if (is_hex(p[0]) && is_hex(p[1])) {
            put(w, hex(p[0]) << 4 | hex(p[1]), 1);
            p += 2;
        } else if (*p == 'm') {
            put_modrm(w, p[1] == 'r' ? 8 : hex(p[1]));
            p += 2;
        } else {
            put_hole(w, *p++);
        }
    }
}

void modes_write_code(struct reader *in, unsigned count, unsigned bits, uint8_t *code,
                      unsigned room)
{
    struct writer w = { .in = in, .code = code, .room = room, .bits = bits };
    size_t theme = read8(in) * PATTERNS / 256;
    for (unsigned i = 0; i < count && in->left > 0 && w.at < room; i++) {
        unsigned choice = (unsigned)read_bytes(in, 2);
        if (choice >= 0xe000) /* random bytes */
            put(&w, read_bytes(in, 8), 1 + choice % 8);
        else if (choice & 0x1000)
            put_pattern(&w, patterns[(theme + choice % 24) % PATTERNS]);
        else
            put_pattern(&w, patterns[choice % PATTERNS]);
    }
    put(&w, 0xe9, 1); /* back to the start */
    put(&w, -(uint64_t)(w.at + (bits == 16 ? 2 : 4)), bits == 16 ? 2 : 4);
}
