/* What EXITINFO1 says of the operand of a port string or of an invalidation, in every mode. APM vol 2, 15.8.3 "INVLPG and INVLPGA
 * Intercepts", 15.10.3 "(REP) OUTS and INS". */
#include "tests/check_main.h"
#include "tests/cpu/modes.h"

enum mode { IN_REAL, IN_V86, IN_PROT16, IN_PROT32, IN_COMPAT, IN_LONG };

static void set_mode(struct kit *k, enum mode mode)
{
    switch (mode) {
    case IN_REAL: mode_real(k); break;
    case IN_V86: mode_v86(k, 3, false); break;
    case IN_PROT16: mode_prot16(k, 0); break;
    case IN_PROT32: mode_prot32(k, 0); break;
    case IN_COMPAT: kit_mode(k, MODE_COMPAT32, 0); break;
    case IN_LONG: kit_mode(k, MODE_LONG64, 0); break;
    }
}

/* The segment of OUTS follows the prefix, except for those that 64-bit mode ignores; INS is always ES. APM vol 2, 15.10.3
 * "(REP) OUTS and INS".
 * rows: exit 3.3.7 */
WITH_KIT(port_strings_name_their_segment)
{
    static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
    for (unsigned mode = IN_REAL; mode <= IN_LONG; mode++)
        for (unsigned p = 0; p < 6; p++)
            for (unsigned ins = 0; ins < 2; ins++) {
                const uint8_t bytes[] = { prefixes[p], 0xf3, ins ? 0x6c : 0x6e };
                set_mode(k, (enum mode)mode);
                kit_guest(k);
                kit_load_segment(k, SEG_TR, TSS);
                kit_intercept(k, INTERCEPT_IOIO_PROT);
                memset(memory_ptr(k->memory, IOPM_SPA, 0x1000), 0xff, 0x1000);
                memset(memory_ptr(k->memory, IOPM_SPA + 0x1000, 0x1000), 0xff, 0x1000);
                k->cpu->r[REG_RCX] = 1;
                k->cpu->r[REG_RDX] = 0x40;
                uint64_t rip = k->cpu->r[REG_RIP];
                ck_assert_int_eq(kit_exec(k, bytes, 3), STEP_VMEXIT);
                unsigned seg = ins ? 0 : mode == IN_LONG && p < 4 ? 3 : p;
                uint64_t info = VMCB_GET(k->vmcb, EXITINFO1);
                ck_assert_msg((info >> 10 & 7) == seg, "mode %u, prefix %u: %llx", mode, p,
                              (unsigned long long)info);
                ck_assert_uint_eq(info & 0xffff007f, 0x40u << 16 | 1u << 4 | 3u << 2 | ins);
                unsigned width = mode == IN_LONG                          ? 9
                                 : mode == IN_PROT32 || mode == IN_COMPAT ? 8
                                                                          : 7;
                ck_assert_uint_eq(info & 0x380, 1u << width);
                ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITINFO2), rip + 3);
                ck_assert_uint_eq(VMCB_GET(k->vmcb, NRIP), rip + 3);
            }
}

/* Offset, cut to the address size; then the base, cut to 32 bits outside 64-bit mode. Nothing is checked: no limit, no
 * canonical form. APM vol 2, 15.8.3 "INVLPG and INVLPGA Intercepts".
 * rows: exit 1.2.20 */
WITH_KIT(invlpg_names_the_linear_address)
{
    static const struct {
        enum mode mode;
        const char *bytes;
        unsigned len;
        uint64_t la;
    } rows[] = {
        /* BX = 89abcdef, RBX = 0123456789abcdef; DS.base = 11110000, FS.base = f1110000 */
        { IN_LONG, "\x0f\x01\x3b", 3, 0x0123456789abcdef },
        { IN_LONG, "\x0f\x01\x7b\x11", 4, 0x0123456789abce00 },
        { IN_LONG, "\x67\x0f\x01\x3b", 4, 0x89abcdef },
        { IN_LONG, "\x3e\x0f\x01\x3b", 4, 0x0123456789abcdef },
        { IN_LONG, "\x64\x0f\x01\x3b", 4, 0x012345687abccdef },
        { IN_LONG, "\x64\x67\x0f\x01\x3b", 5, 0x17abccdef },
        { IN_LONG, "\x0f\x01\x3d\x10\x00\x00\x00", 7, CODE_SPA + 7 + 16 },
        { IN_COMPAT, "\x0f\x01\x3b", 3, 0x9abccdef },
        { IN_COMPAT, "\x64\x0f\x01\x3b", 4, 0x7abccdef }, /* wraps */
        { IN_COMPAT, "\x67\x0f\x01\x3f", 4, 0x1111cdef },
        { IN_PROT32, "\x0f\x01\x7b\xff", 4, 0x9abccdee },
        { IN_PROT16, "\x0f\x01\x3f", 3, 0x1111cdef },
        { IN_PROT16, "\x0f\x01\xbf\x00\x70", 5, 0x11113def }, /* the offset wraps at 64 KiB */
        { IN_PROT16, "\x67\x0f\x01\x3b", 4, 0x9abccdef },
        { IN_REAL, "\x0f\x01\x3f", 3, 0x1111cdef },
        { IN_REAL, "\x64\x67\x0f\x01\x3b", 5, 0x7abccdef },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set_mode(k, rows[i].mode);
        k->cpu->r[REG_RBX] = 0x0123456789abcdef;
        kit_guest(k);
        k->cpu->regs.seg[SEG_DS].base = 0x11110000;
        k->cpu->regs.seg[SEG_FS].base = 0xf1110000;
        k->cpu->regs.seg[SEG_DS].limit = 0xfff;
        k->cpu->r[REG_RBX] = 0x0123456789abcdef;
        kit_intercept(k, INTERCEPT_INVLPG);
        ck_assert_int_eq(kit_exec(k, rows[i].bytes, rows[i].len), STEP_VMEXIT);
        ck_assert_uint_eq(VMCB_GET(k->vmcb, EXITCODE), VMEXIT_INVLPG);
        ck_assert_msg(VMCB_GET(k->vmcb, EXITINFO1) == rows[i].la, "row %u: %llx", i,
                      (unsigned long long)VMCB_GET(k->vmcb, EXITINFO1));
    }
}

/* INVLPGA and INVLPGB leave their operands in the registers, INVPCID in memory: neither is read, no EXITINFO.
 * rows: exit 1.2.21, 1.3.18, 1.3.20 */
WITH_KIT(other_invalidations_tell_nothing)
{
    static const struct {
        const char *bytes;
        unsigned len, intercept;
        uint64_t code;
    } rows[] = {
        { "\x0f\x01\xdf", 3, INTERCEPT_INVLPGA, VMEXIT_INVLPGA },
        { "\x67\x0f\x01\xdf", 4, INTERCEPT_INVLPGA, VMEXIT_INVLPGA },
        { "\x66\x0f\x38\x82\x03", 5, INTERCEPT_INVPCID,
          VMEXIT_INVPCID }, /* type and memory: illegal */
        { "\x0f\x01\xfe", 3, INTERCEPT_INVLPGB, VMEXIT_INVLPGB },
        { "\x0f\x01\xfe", 3, INTERCEPT_INVLPGB_ILLEGAL, VMEXIT_INVLPGB_ILLEGAL },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kit_mode(k, MODE_LONG64, 0);
        kit_guest(k);
        kit_intercept(k, rows[i].intercept);
        k->cpu->svm->tlbi = true; /* VMCB 090h, bit 7 */
        k->cpu->r[REG_RAX] = k->cpu->r[REG_RBX] = NONCANON | 0xfff;
        k->cpu->r[REG_RCX] = k->cpu->r[REG_RDX] = UINT64_MAX;
        kit_exited(k, kit_exec(k, rows[i].bytes, rows[i].len), rows[i].code, 0, 0,
                   CODE_SPA + rows[i].len);
    }
}

CHECK_MAIN("exit_operands", port_strings_name_their_segment, invlpg_names_the_linear_address,
           other_invalidations_tell_nothing)
