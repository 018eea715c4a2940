/* Two decoders that share no code must agree: ours (Zydis and the AMD fix-ups) and Capstone, on every instruction in the
 * .text sections of programs that are installed on the workstation. Lengths must be equal; names must be equal after a
 * table of spellings. What Capstone 4 does not know must stay rare; what it knows must be known to us. */
#include "decoder/decode.h"

#include <Zydis/Zydis.h>
#include <capstone/capstone.h>
#include <check.h>
#include <fcntl.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const programs[] = { "/bin/bash",    "/usr/bin/cmake", "/usr/bin/python3.11",
                                        "/usr/bin/gcc", "/usr/bin/perl",  "/usr/bin/ld.bfd" };
#define SHOWN_MAX 20
#define LEAST_INSNS 100000 /* fewer: the test compared nothing worth speaking of */

/* Names of Zydis and of Capstone for the same instruction. */
static const char *const spelling[][2] = {
    { "jnb", "jae" },        { "jz", "je" },         { "jnz", "jne" },       { "jnbe", "ja" },
    { "jnl", "jge" },        { "jnle", "jg" },       { "setnb", "setae" },   { "setz", "sete" },
    { "setnz", "setne" },    { "setnbe", "seta" },   { "setnl", "setge" },   { "setnle", "setg" },
    { "cmovnb", "cmovae" },  { "cmovz", "cmove" },   { "cmovnz", "cmovne" }, { "cmovnbe", "cmova" },
    { "cmovnl", "cmovge" },  { "cmovnle", "cmovg" }, { "mov", "movabs" },    { "nop", "endbr64" },
    { "incsspq", "lfence" }, /* F3 before LFENCE, which Capstone 4 ignores */
};

/* SSE compares: Capstone puts the predicate into the name, cmpsd becomes cmpltsd. */
static bool same_compare(const char *ours, const char *theirs)
{
    size_t length = strlen(theirs);
    return strlen(ours) == 5 && strncmp(ours, "cmp", 3) == 0 && strncmp(theirs, "cmp", 3) == 0 &&
           length > 5 && strcmp(ours + 3, theirs + length - 2) == 0;
}

static bool same_name(const char *ours, const char *theirs)
{
    if (strcmp(ours, theirs) == 0 || same_compare(ours, theirs))
        return true;
    for (size_t i = 0; i < sizeof(spelling) / sizeof(spelling[0]); i++)
        if (strcmp(ours, spelling[i][0]) == 0 && strcmp(theirs, spelling[i][1]) == 0)
            return true;
    return false;
}

struct comparison {
    csh capstone;
    cs_insn *insn;
    unsigned long insns, bytes, undecided, differences;
};

static void show(struct comparison *c, const char *program, uint64_t address,
                 const struct insn *ours, const char *our_name)
{
    if (c->differences++ >= SHOWN_MAX)
        return;
    printf("%s %#llx:", program, (unsigned long long)address);
    for (unsigned i = 0; i < ours->len; i++)
        printf(" %02x", ours->bytes[i]);
    printf(": %s, %u bytes; Capstone: %s, %u bytes\n", our_name, ours->len, c->insn->mnemonic,
           c->insn->size);
}

/* Compare one instruction; returns how far to go on. */
static unsigned compare(struct comparison *c, const char *program, const uint8_t *code, size_t left,
                        uint64_t address)
{
    struct insn ours = { 0 };
    unsigned room = left < INSN_MAX_BYTES ? (unsigned)left : INSN_MAX_BYTES;
    enum decode_status status = decode_insn(code, room, MODE_LONG64, &ours);
    const uint8_t *at = code;
    size_t size = room;
    uint64_t next = address;
    bool theirs = cs_disasm_iter(c->capstone, &at, &size, &next, c->insn);
    if (status != DECODE_OK || !theirs) {
        c->undecided++;
        if (status != DECODE_OK && theirs) {
            ours.len = 1;
            memcpy(ours.bytes, code, 1);
            show(c, program, address, &ours, "(bad)");
        }
        return status == DECODE_OK ? ours.len : theirs ? c->insn->size : 1;
    }
    const char *name = ZydisMnemonicGetString((ZydisMnemonic)ours.mnemonic);
    c->insns++;
    c->bytes += ours.len;
    if (ours.len != c->insn->size || !same_name(name, cs_insn_name(c->capstone, c->insn->id)))
        show(c, program, address, &ours, name);
    return ours.len;
}

static void compare_section(struct comparison *c, const char *program, Elf_Scn *section,
                            uint64_t address)
{
    Elf_Data *data = elf_getdata(section, NULL);
    for (size_t at = 0; data && at < data->d_size;)
        at +=
            compare(c, program, (const uint8_t *)data->d_buf + at, data->d_size - at, address + at);
}

/* The .text of an ELF64 file for x86-64; other files are passed over. */
static void compare_program(struct comparison *c, const char *program)
{
    int fd = open(program, O_RDONLY);
    if (fd < 0)
        return;
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    Elf64_Ehdr *header = elf ? elf64_getehdr(elf) : NULL;
    size_t names;
    if (header && header->e_machine == EM_X86_64 && elf_getshdrstrndx(elf, &names) == 0) {
        for (Elf_Scn *section = elf_nextscn(elf, NULL); section;
             section = elf_nextscn(elf, section)) {
            Elf64_Shdr *shdr = elf64_getshdr(section);
            const char *name = shdr ? elf_strptr(elf, names, shdr->sh_name) : NULL;
            if (name && strcmp(name, ".text") == 0)
                compare_section(c, program, section, shdr->sh_addr);
        }
    }
    elf_end(elf);
    close(fd);
}

START_TEST(decoders_agree_on_installed_programs)
{
    struct comparison c = { 0 };
    ck_assert_int_eq(cs_open(CS_ARCH_X86, CS_MODE_64, &c.capstone), CS_ERR_OK);
    c.insn = cs_malloc(c.capstone);
    ck_assert_ptr_nonnull(c.insn);
    ck_assert_uint_ne(elf_version(EV_CURRENT), EV_NONE);
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        compare_program(&c, programs[i]);
    printf("%lu instructions, %lu bytes, %lu undecided, %lu differences\n", c.insns, c.bytes,
           c.undecided, c.differences);
    (void)fflush(stdout);
    cs_free(c.insn, 1);
    cs_close(&c.capstone);
    ck_assert_uint_eq(c.differences, 0);
    ck_assert_uint_le(c.undecided, c.insns / 10000);
    if (c.insns) /* none: no program for x86-64 is installed, as on an ARM64 workstation */
        ck_assert_uint_ge(c.insns, LEAST_INSNS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("capstone");
    TCase *tc = tcase_create("programs");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, decoders_agree_on_installed_programs);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
