/* AES, SHA and products without carries, by the examples of their standards and by slow models. Runs everywhere;
 * test_vector_int.c compares the same instructions with the processor. */
#include "tests/insn/rig.h"
#include "tests/random.h"

static struct rig *rig;
static struct vcpu *cpu;

static void setup(void)
{
    rig = rig_new(MODE_LONG64);
    cpu = &rig->cpu;
    cpu->regs.cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    cpu_update_mode(cpu);
}

static void teardown(void)
{
    rig_free(rig);
}

#define RUN(...) ck_assert_int_eq(EXEC(rig, __VA_ARGS__), STEP_NEXT)

static void put(unsigned reg, const void *bytes)
{
    memcpy(&cpu->simd.v[reg], bytes, 16);
}

static void expect(unsigned reg, const void *bytes)
{
    ck_assert_mem_eq(&cpu->simd.v[reg], bytes, 16);
}

static void from_hex(uint8_t *to, const char *hex)
{
    for (; hex[0] && hex[1]; hex += 2) {
        char pair[3] = { hex[0], hex[1], 0 };
        *to++ = (uint8_t)strtoul(pair, NULL, 16);
    }
}

static uint32_t random_word(void)
{
    static uint64_t state = 88172645463325252u;
    return (uint32_t)(test_random(&state) >> 32);
}

static void random_register(unsigned reg)
{
    for (unsigned i = 0; i < 8; i++)
        cpu->simd.v[reg].u32[i] = random_word();
}

/* --- AES --------------------------------------------------------------------------------------- */

/* AESKEYGENASSIST XMM1, XMM3, round constant: SubWord(x) and RotWord of it with the constant. */
static uint32_t key_word(uint32_t x, bool rotate, uint8_t constant)
{
    memset(&cpu->simd.v[3], 0, 16);
    cpu->simd.v[3].u32[1] = x;
    RUN(0x66, 0x0f, 0x3a, 0xdf, 0xcb, constant);
    return cpu->simd.v[1].u32[rotate];
}

/* FIPS-197, 5.2 "Key Expansion", Nk words of key. Returns the number of rounds. */
static unsigned expand_key(uint32_t *w, const uint8_t *key, unsigned nk)
{
    unsigned rounds = nk + 6;
    uint8_t constant = 1;
    memcpy(w, key, 4 * nk);
    for (unsigned i = nk; i < 4 * (rounds + 1); i++) {
        uint32_t x = w[i - 1];
        if (i % nk == 0) {
            x = key_word(x, true, constant);
            constant = (uint8_t)(constant << 1 ^ (constant >> 7) * 0x1b);
        } else if (nk > 6 && i % nk == 4) {
            x = key_word(x, false, constant);
        }
        w[i] = w[i - nk] ^ x;
    }
    return rounds;
}

static void add_key(const uint32_t *key)
{
    for (unsigned i = 0; i < 4; i++)
        cpu->simd.v[1].u32[i] ^= key[i];
}

/* XMM1 through all rounds. */
static void encrypt(const uint32_t *w, unsigned rounds)
{
    add_key(w);
    for (unsigned i = 1; i < rounds; i++) {
        put(3, w + 4 * i);
        RUN(0x66, 0x0f, 0x38, 0xdc, 0xcb); /* AESENC XMM1, XMM3 */
    }
    put(3, w + 4 * rounds);
    RUN(0x66, 0x0f, 0x38, 0xdd, 0xcb); /* AESENCLAST */
}

/* 5.3.5 "Equivalent Inverse Cipher": round keys between the first and the last go through InvMixColumns. */
static void decrypt(const uint32_t *w, unsigned rounds)
{
    add_key(w + 4 * rounds);
    for (unsigned i = rounds - 1; i > 0; i--) {
        put(2, w + 4 * i);
        RUN(0x66, 0x0f, 0x38, 0xdb, 0xda); /* AESIMC XMM3, XMM2 */
        RUN(0x66, 0x0f, 0x38, 0xde, 0xcb); /* AESDEC XMM1, XMM3 */
    }
    put(3, w);
    RUN(0x66, 0x0f, 0x38, 0xdf, 0xcb); /* AESDECLAST */
}

START_TEST(aes_examples_of_fips_197)
{
    static const struct {
        unsigned nk;
        const char *key, *plain, *cipher;
    } examples[] = {
        /* appendix B, then C.1 to C.3 */
        { 4, "2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734",
          "3925841d02dc09fbdc118597196a0b32" },
        { 4, "000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff",
          "69c4e0d86a7b0430d8cdb78070b4c55a" },
        { 6, "000102030405060708090a0b0c0d0e0f1011121314151617", "00112233445566778899aabbccddeeff",
          "dda97ca4864cdfe06eaf70a0ec0d7191" },
        { 8, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "00112233445566778899aabbccddeeff", "8ea2b7ca516745bfeafc49904b496089" },
    };
    for (unsigned i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        uint8_t key[32], plain[16], cipher[16];
        uint32_t w[60];
        from_hex(key, examples[i].key);
        from_hex(plain, examples[i].plain);
        from_hex(cipher, examples[i].cipher);
        unsigned rounds = expand_key(w, key, examples[i].nk);
        put(1, plain);
        encrypt(w, rounds);
        expect(1, cipher);
        decrypt(w, rounds);
        expect(1, plain);
    }
}
END_TEST

/* 256-bit VAES is two blocks with two keys; with 128 bits the destination's upper half is cleared. */
START_TEST(vaes_works_on_each_lane)
{
    static const uint8_t opcodes[] = { 0xdc, 0xdd, 0xde, 0xdf };
    for (unsigned i = 0; i < 400; i++) {
        uint8_t opcode = opcodes[i & 3];
        union vector want = { 0 };
        random_register(2);
        random_register(3);
        for (unsigned lane = 0; lane < 32; lane += 16) {
            memcpy(&cpu->simd.v[4], cpu->simd.v[2].u8 + lane, 16);
            memcpy(&cpu->simd.v[5], cpu->simd.v[3].u8 + lane, 16);
            RUN(0x66, 0x0f, 0x38, opcode, 0xe5); /* XMM4, XMM5 */
            memcpy(want.u8 + lane, &cpu->simd.v[4], 16);
        }
        memset(&cpu->simd.v[1], 0xff, 64);
        RUN(0xc4, 0xe2, 0x6d, opcode, 0xcb); /* YMM1, YMM2, YMM3 */
        ck_assert_mem_eq(&cpu->simd.v[1], &want, 64);
        memset(&cpu->simd.v[1], 0xff, 64);
        memset(want.u8 + 16, 0, 16);
        RUN(0xc4, 0xe2, 0x69, opcode, 0xcb); /* XMM1, XMM2, XMM3 */
        ck_assert_mem_eq(&cpu->simd.v[1], &want, 64);
    }
}
END_TEST

/* --- products without carries --------------------------------------------------------------------- */

/* Bit by bit. */
static void slow_product(uint64_t a, uint64_t b, uint64_t *out)
{
    out[0] = out[1] = 0;
    for (unsigned i = 0; i < 64; i++)
        if (b >> i & 1) {
            out[0] ^= a << i;
            out[1] ^= i ? a >> (64 - i) : 0;
        }
}

START_TEST(pclmulqdq_multiplies_the_halves_that_its_immediate_names)
{
    static const uint8_t halves[] = { 0x00, 0x01, 0x10, 0x11, 0xee, 0xff };
    for (unsigned i = 0; i < 6000; i++) {
        uint8_t imm = halves[i % sizeof(halves)];
        union vector want = { 0 };
        random_register(2);
        random_register(3);
        if (i % 5 == 0) /* the most that can meet in a column */
            memset(&cpu->simd.v[2], 0xff, 16);
        if (i % 7 == 0)
            memset(&cpu->simd.v[3], 0xff, 32);
        for (unsigned k = 0; k < 4; k += 2)
            slow_product(cpu->simd.v[2].u64[k + (imm & 1)], cpu->simd.v[3].u64[k + (imm >> 4 & 1)],
                         want.u64 + k);
        RUN(0xc4, 0xe3, 0x6d, 0x44, 0xcb, imm); /* VPCLMULQDQ YMM1, YMM2, YMM3 */
        ck_assert_mem_eq(&cpu->simd.v[1], &want, 64);
        RUN(0x66, 0x0f, 0x3a, 0x44, 0xd3, imm); /* PCLMULQDQ XMM2, XMM3 */
        expect(2, &want);
    }
}
END_TEST

/* --- SHA -------------------------------------------------------------------------------------------- */

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* FIPS 180-4, 5.1.1: the padded message. Returns its blocks. */
static unsigned pad(uint8_t *to, const char *message)
{
    size_t len = strlen(message);
    unsigned blocks = (unsigned)(len + 8) / 64 + 1;
    memset(to, 0, 64 * blocks);
    memcpy(to, message, len);
    to[len] = 0x80;
    to[64 * blocks - 2] = (uint8_t)(8 * len >> 8);
    to[64 * blocks - 1] = (uint8_t)(8 * len);
    return blocks;
}

/* Words w[0] to w[3] in XMM`reg`, the first on top for SHA-1 and at the bottom for SHA-256. */
static void put_words(unsigned reg, const uint32_t *w, bool top)
{
    for (unsigned i = 0; i < 4; i++)
        cpu->simd.v[reg].u32[top ? 3 - i : i] = w[i];
}

static void get_words(unsigned reg, uint32_t *w, bool top)
{
    for (unsigned i = 0; i < 4; i++)
        w[i] = cpu->simd.v[reg].u32[top ? 3 - i : i];
}

/* The rest of the message schedule of SHA-1: w[t] = rol(w[t-3] ^ w[t-8] ^ w[t-14] ^ w[t-16], 1). */
static void schedule1(uint32_t *w)
{
    for (unsigned t = 16; t < 80; t += 4) {
        put_words(1, w + t - 16, true);
        put_words(2, w + t - 12, true);
        RUN(0x0f, 0x38, 0xc9, 0xca); /* SHA1MSG1 XMM1, XMM2 */
        for (unsigned i = 0; i < 4; i++)
            cpu->simd.v[1].u32[3 - i] ^= w[t - 8 + i];
        put_words(2, w + t - 4, true);
        RUN(0x0f, 0x38, 0xca, 0xca); /* SHA1MSG2 XMM1, XMM2 */
        get_words(1, w + t, true);
    }
}

static void block1(uint32_t h[5], const uint8_t *bytes)
{
    uint32_t w[80], state[4];
    for (unsigned i = 0; i < 16; i++)
        w[i] = big_endian(bytes + 4 * i);
    schedule1(w);
    put_words(1, h, true);
    put_words(2, w, true);
    cpu->simd.v[2].u32[3] += h[4];
    for (unsigned t = 0; t < 80; t += 4) {
        union vector before = cpu->simd.v[1];
        const uint8_t part = (uint8_t)(t / 20);
        RUN(0x0f, 0x3a, 0xcc, 0xca, part); /* SHA1RNDS4 XMM1, XMM2, part */
        cpu->simd.v[2] = before;
        put_words(3, t + 4 < 80 ? w + t + 4 : (const uint32_t[4]){ 0 }, true);
        RUN(0x0f, 0x38, 0xc8, 0xd3); /* SHA1NEXTE XMM2, XMM3: E of the next four */
    }
    get_words(1, state, true);
    for (unsigned i = 0; i < 4; i++)
        h[i] += state[i];
    h[4] += cpu->simd.v[2].u32[3];
}

static uint32_t constants256[64];

/* 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static void make_constants(void)
{
    unsigned n = 0;
    for (uint32_t p = 2; n < 64; p++) {
        bool prime = true;
        for (uint32_t q = 2; q * q <= p; q++)
            prime = prime && p % q != 0;
        if (!prime)
            continue;
        uint64_t root = 0; /* the cube root of p * 2^96, below 2^35 */
        for (int bit = 35; bit >= 0; bit--) {
            uint64_t x = root | UINT64_C(1) << bit;
            emu_u128 square = (emu_u128)x * x; /* below 2^72 */
            emu_u128 high = (square >> 32) * x, low = (square & UINT32_MAX) * x;
            if (high + (low >> 32) < (emu_u128)p << 64)
                root = x;
        }
        constants256[n++] = (uint32_t)root;
    }
}

/* The rest of the message schedule of SHA-256. */
static void schedule256(uint32_t *w)
{
    for (unsigned t = 16; t < 64; t += 4) {
        put_words(1, w + t - 16, false);
        put_words(2, w + t - 12, false);
        RUN(0x0f, 0x38, 0xcc, 0xca); /* SHA256MSG1 XMM1, XMM2 */
        for (unsigned i = 0; i < 4; i++)
            cpu->simd.v[1].u32[i] += w[t - 7 + i];
        put_words(2, w + t - 4, false);
        RUN(0x0f, 0x38, 0xcd, 0xca); /* SHA256MSG2 XMM1, XMM2 */
        get_words(1, w + t, false);
    }
}

static void block256(uint32_t h[8], const uint8_t *bytes)
{
    uint32_t w[64];
    for (unsigned i = 0; i < 16; i++)
        w[i] = big_endian(bytes + 4 * i);
    schedule256(w);
    put_words(1, (const uint32_t[]){ h[2], h[3], h[6], h[7] }, true); /* C, D, G, H */
    put_words(2, (const uint32_t[]){ h[0], h[1], h[4], h[5] }, true); /* A, B, E, F */
    for (unsigned t = 0; t < 64; t += 2) {
        union vector old = cpu->simd.v[2];
        cpu->simd.v[0].u32[0] = w[t] + constants256[t];
        cpu->simd.v[0].u32[1] = w[t + 1] + constants256[t + 1];
        RUN(0x0f, 0x38, 0xcb, 0xca); /* SHA256RNDS2 XMM1, XMM2, XMM0 */
        cpu->simd.v[2] = cpu->simd.v[1];
        cpu->simd.v[1] = old;
    }
    static const uint8_t place[8] = { 3, 2, 7, 6, 1, 0, 5, 4 };
    for (unsigned i = 0; i < 8; i++)
        h[i] += cpu->simd.v[place[i] < 4 ? 2 : 1].u32[place[i] & 3];
}

static const char *const messages[] = {
    "abc",
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "",
};

START_TEST(sha1_of_the_standards_messages)
{
    static const uint32_t digests[3][5] = {
        { 0xa9993e36, 0x4706816a, 0xba3e2571, 0x7850c26c, 0x9cd0d89d },
        { 0x84983e44, 0x1c3bd26e, 0xbaae4aa1, 0xf95129e5, 0xe54670f1 },
        { 0xda39a3ee, 0x5e6b4b0d, 0x3255bfef, 0x95601890, 0xafd80709 },
    };
    for (unsigned i = 0; i < 3; i++) {
        uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
        uint8_t bytes[128];
        unsigned blocks = pad(bytes, messages[i]);
        for (unsigned k = 0; k < blocks; k++)
            block1(h, bytes + 64 * k);
        ck_assert_mem_eq(h, digests[i], sizeof(h));
    }
}
END_TEST

START_TEST(sha256_of_the_standards_messages)
{
    static const uint32_t digests[3][8] = {
        { 0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61,
          0xf20015ad },
        { 0x248d6a61, 0xd20638b8, 0xe5c02693, 0x0c3e6039, 0xa33ce459, 0x64ff2167, 0xf6ecedd4,
          0x19db06c1 },
        { 0xe3b0c442, 0x98fc1c14, 0x9afbf4c8, 0x996fb924, 0x27ae41e4, 0x649b934c, 0xa495991b,
          0x7852b855 },
    };
    make_constants();
    ck_assert_uint_eq(constants256[0], 0x428a2f98);
    ck_assert_uint_eq(constants256[63], 0xc67178f2);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
        uint8_t bytes[128];
        unsigned blocks = pad(bytes, messages[i]);
        for (unsigned k = 0; k < blocks; k++)
            block256(h, bytes + 64 * k);
        ck_assert_mem_eq(h, digests[i], sizeof(h));
    }
}
END_TEST

/* rows: pitfalls 7.15 */
START_TEST(legacy_blocks_keep_the_rest_of_the_register)
{
    static const uint8_t codes[][5] = {
        { 0x66, 0x0f, 0x38, 0xdc, 0xcb }, { 0x66, 0x0f, 0x38, 0xdb, 0xcb },
        { 0x0f, 0x38, 0xcb, 0xcb },       { 0x0f, 0x38, 0xcd, 0xcb },
        { 0x0f, 0x3a, 0xcc, 0xcb, 0x01 },
    };
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        uint8_t rest[48];
        memset(rest, 0x77, sizeof(rest));
        memset(&cpu->simd.v[1], 0x77, 64);
        random_register(3);
        ck_assert_int_eq(rig_exec(rig, codes[i], i == 2 || i == 3 ? 4 : 5), STEP_NEXT);
        ck_assert_mem_eq(cpu->simd.v[1].u8 + 16, rest, sizeof(rest));
        ck_assert(memcmp(&cpu->simd.v[1], rest, 16) != 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crypto");
    TCase *tcase = tcase_create("crypto");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, aes_examples_of_fips_197);
    tcase_add_test(tcase, vaes_works_on_each_lane);
    tcase_add_test(tcase, pclmulqdq_multiplies_the_halves_that_its_immediate_names);
    tcase_add_test(tcase, sha1_of_the_standards_messages);
    tcase_add_test(tcase, sha256_of_the_standards_messages);
    tcase_add_test(tcase, legacy_blocks_keep_the_rest_of_the_register);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}
