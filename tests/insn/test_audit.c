/* The audit: walks the encodings that Zydis knows, in every mode and for every model, and proves that each instruction whose
 * feature the model offers has a body, that each body runs, and that every other is #UD. What an instruction set needs is
 * said here once more, independent of emu/insn/isa.def and the tables of instructions. */
#include "tests/cpu/kit.h"

#include "emu/insn/lower.h"

#include <Zydis/Zydis.h>

/* --- what instruction sets need ------------------------------------------------------------ */

enum { NOBODY = UINT8_MAX }; /* no model of ours has it: #UD */
static_assert((int)CPU_FEATURE_COUNT < (int)NOBODY, "room for a value that is no feature");

/* Two features, both needed; 0 is none. A set that is not here is one of the base architecture. */
static const struct need {
    uint8_t first, second;
} needs[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
#define NEEDS(set, ...) [ZYDIS_ISA_SET_##set] = { __VA_ARGS__ }
#define F(feature) CPU_FEATURE_##feature
    NEEDS(CMOV, F(CMOV)),
    NEEDS(X87, F(FPU)),
    NEEDS(FCMOV, F(FPU), F(CMOV)),
    NEEDS(SSE3X87, F(FPU), F(SSE3)),
    NEEDS(PENTIUMMMX, F(MMX)),
    NEEDS(FXSAVE, F(FXSR)),
    NEEDS(FXSAVE64, F(FXSR)),
    NEEDS(SSE, F(SSE)),
    NEEDS(SSEMXCSR, F(SSE)),
    NEEDS(SSE2, F(SSE2)),
    NEEDS(SSE2MMX, F(SSE2)),
    NEEDS(SSE3, F(SSE3)),
    NEEDS(SSSE3, F(SSSE3)),
    NEEDS(SSSE3MMX, F(SSSE3)),
    NEEDS(SSE4, F(SSE41)),
    NEEDS(SSE42, F(SSE42)),
    NEEDS(SSE4A, F(SSE4A)),
    NEEDS(AES, F(AES)),
    NEEDS(PCLMULQDQ, F(PCLMULQDQ)),
    NEEDS(SHA, F(SHA)),
    NEEDS(AVX, F(AVX)),
    NEEDS(AVX2, F(AVX2)),
    NEEDS(AVX2GATHER, F(AVX2)),
    NEEDS(AVXAES, F(AVX), F(AES)),
    NEEDS(VAES, F(VAES)),
    NEEDS(VPCLMULQDQ, F(VPCLMULQDQ)),
    NEEDS(F16C, F(F16C)),
    NEEDS(FMA, F(FMA)),
    NEEDS(XSAVE, F(XSAVE)),
    NEEDS(XSAVEOPT, F(XSAVEOPT)),
    NEEDS(XSAVEC, F(XSAVEC)),
    NEEDS(XSAVES, F(XSAVES)),
    NEEDS(BMI1, F(BMI1)),
    NEEDS(BMI2, F(BMI2)),
    NEEDS(ADOX_ADCX, F(ADX)),
    NEEDS(MOVBE, F(MOVBE)),
    NEEDS(POPCNT, F(POPCNT)),
    NEEDS(CMPXCHG16B, F(CX16)),
    NEEDS(CLFSH, F(CLFLUSH)),
    NEEDS(CLFLUSHOPT, F(CLFLUSHOPT)),
    NEEDS(CLWB, F(CLWB)),
    NEEDS(CLZERO, F(CLZERO)),
    NEEDS(RDRAND, F(RDRAND)),
    NEEDS(RDSEED, F(RDSEED)),
    NEEDS(RDTSCP, F(RDTSCP)),
    NEEDS(RDPID, F(RDPID)),
    NEEDS(RDPRU, F(RDPRU)),
    NEEDS(RDWRFSGS, F(FSGSBASE)),
    NEEDS(INVPCID, F(INVPCID)),
    NEEDS(AMD_INVLPGB, F(INVLPGB)),
    NEEDS(MCOMMIT, F(MCOMMIT)),
    NEEDS(MONITOR, F(MONITOR)),
    NEEDS(MONITORX, F(MONITORX)),
    NEEDS(PKU, F(PKU)),
    NEEDS(CET, F(CET_SS)),
    NEEDS(SMAP, F(SMAP)),
    NEEDS(SVM, F(SVM)),
    NEEDS(AMD3DNOW, NOBODY),
    NEEDS(AMX_BF16, NOBODY),
    NEEDS(AMX_INT8, NOBODY),
    NEEDS(AMX_TILE, NOBODY),
    NEEDS(AVX_GFNI, NOBODY),
    NEEDS(AVX_VNNI, NOBODY),
    NEEDS(CLDEMOTE, NOBODY),
    NEEDS(ENQCMD, NOBODY),
    NEEDS(FMA4, NOBODY),
    NEEDS(GFNI, NOBODY),
    NEEDS(HRESET, NOBODY),
    NEEDS(KEYLOCKER, NOBODY),
    NEEDS(KEYLOCKER_WIDE, NOBODY),
    NEEDS(LWP, NOBODY),
    NEEDS(MOVDIR, NOBODY),
    NEEDS(MPX, NOBODY),
    NEEDS(PADLOCK_ACE, NOBODY),
    NEEDS(PADLOCK_PHE, NOBODY),
    NEEDS(PADLOCK_PMM, NOBODY),
    NEEDS(PADLOCK_RNG, NOBODY),
    NEEDS(PCONFIG, NOBODY),
    NEEDS(PT, NOBODY),
    NEEDS(RTM, NOBODY),
    NEEDS(SERIALIZE, NOBODY),
    NEEDS(SGX, NOBODY),
    NEEDS(SGX_ENCLV, NOBODY),
    NEEDS(SMX, NOBODY),
    NEEDS(SNP, NOBODY),
    NEEDS(TBM, NOBODY),
    NEEDS(TDX, NOBODY),
    NEEDS(TSX_LDTRK, NOBODY),
    NEEDS(UINTR, NOBODY),
    NEEDS(VMFUNC, NOBODY),
    NEEDS(VTX, NOBODY),
    NEEDS(WAITPKG, NOBODY),
    NEEDS(XOP, NOBODY),
#undef NEEDS
};

/* Instructions that need other things than their set: the set is Intel's history, CPUID is the architecture. */
static const struct {
    uint16_t mnemonic;
    struct need need;
} exceptions[] = {
    { ZYDIS_MNEMONIC_CMPXCHG8B, { F(CX8), 0 } },
    { ZYDIS_MNEMONIC_ENDBR32,
      { 0, 0 } }, /* NOPs: AMD has the other half of CET, and RDSSP is one where it is off */
    { ZYDIS_MNEMONIC_ENDBR64, { 0, 0 } },
    { ZYDIS_MNEMONIC_RDSSPD, { 0, 0 } },
    { ZYDIS_MNEMONIC_RDSSPQ, { 0, 0 } },
    { ZYDIS_MNEMONIC_FCOMI, { F(FPU), F(CMOV) } },
    { ZYDIS_MNEMONIC_FCOMIP, { F(FPU), F(CMOV) } },
    { ZYDIS_MNEMONIC_FUCOMI, { F(FPU), F(CMOV) } },
    { ZYDIS_MNEMONIC_FUCOMIP, { F(FPU), F(CMOV) } },
    { ZYDIS_MNEMONIC_PREFETCH, { 0, 0 } },
    { ZYDIS_MNEMONIC_PREFETCHW, { 0, 0 } },
    { ZYDIS_MNEMONIC_PREFETCHWT1, { 0, 0 } },
    { ZYDIS_MNEMONIC_POPCNT, { F(POPCNT), 0 } },
    { ZYDIS_MNEMONIC_RDMSR, { F(MSR), 0 } },
    { ZYDIS_MNEMONIC_WRMSR, { F(MSR), 0 } },
    { ZYDIS_MNEMONIC_RDTSC, { F(TSC), 0 } },
    { ZYDIS_MNEMONIC_SYSCALL, { F(SYSCALL), 0 } },
    { ZYDIS_MNEMONIC_SYSRET, { F(SYSCALL), 0 } },
    { ZYDIS_MNEMONIC_SYSENTER, { F(SEP), 0 } },
    { ZYDIS_MNEMONIC_SYSEXIT, { F(SEP), 0 } },
    { ZYDIS_MNEMONIC_TZCNT, { 0, 0 } }, /* BSF without it */
    { ZYDIS_MNEMONIC_VMMCALL, { F(SVM), 0 } },
};

static struct need need_of(const struct insn *in)
{
    if (in->isa_set >= ZYDIS_ISA_SET_AVX512BW_128 &&
        in->isa_set <= ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_512)
        return (struct need){ NOBODY, 0 };
    if (in->isa_set >= ZYDIS_ISA_SET_KNCE && in->isa_set <= ZYDIS_ISA_SET_KNC_PF_HINT)
        return (struct need){ NOBODY, 0 };
    if (in->mnemonic == ZYDIS_MNEMONIC_VPCLMULQDQ &&
        in->isa_set == ZYDIS_ISA_SET_AVX) /* 128 bits */
        return (struct need){ F(AVX), F(PCLMULQDQ) };
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
        if (exceptions[i].mnemonic == in->mnemonic)
            return exceptions[i].need;
    return needs[in->isa_set];
}

static bool offers(const struct cpu_model *model, struct need need)
{
    return need.first != NOBODY &&
           (!need.first || cpu_model_has(model, (enum cpu_feature)need.first)) &&
           (!need.second || cpu_model_has(model, (enum cpu_feature)need.second));
}

/* --- walking ------------------------------------------------------------------------------- */

static const struct mode_name {
    enum cpu_mode mode;
    const char *name;
} modes[] = {
    { MODE_LONG64, "64-bit" },
    { MODE_COMPAT32, "compatibility 32" },
    { MODE_COMPAT16, "compatibility 16" },
    { MODE_PROT32, "protected 32" },
    { MODE_PROT16, "protected 16" },
    { MODE_V86, "virtual-8086" },
    { MODE_REAL, "real" },
    { MODE_REAL32, "real with a 32-bit CS" },
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

typedef void visit_fn(void *self, const uint8_t bytes[15], enum cpu_mode mode);

/* Memory without displacement, and each register, for each of the eight operations that ModRM can name. Zeros follow: SIB,
 * displacement and immediates. */
static void each_modrm(uint8_t *bytes, unsigned at, enum cpu_mode mode, visit_fn *visit, void *self)
{
    for (unsigned reg = 0; reg < 8; reg++) {
        bytes[at] = (uint8_t)(reg << 3);
        visit(self, bytes, mode);
        for (unsigned rm = 0; rm < 8; rm++) {
            bytes[at] = (uint8_t)(0xc0 | reg << 3 | rm);
            visit(self, bytes, mode);
        }
    }
}

static void each_opcode(uint8_t *bytes, unsigned at, enum cpu_mode mode, visit_fn *visit,
                        void *self)
{
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        bytes[at] = (uint8_t)opcode;
        each_modrm(bytes, at + 1, mode, visit, self);
    }
}

/* The four opcode maps of legacy encoding and 3DNow!, behind the prefixes that choose among instructions. */
static void each_legacy(enum cpu_mode mode, visit_fn *visit, void *self)
{
    static const char *const prefixes[] = { "",     "\x66",     "\xf3",     "\xf2",
                                            "\x67", "\x66\xf3", "\x66\xf2", "\xf0" };
    static const char *const maps[] = { "", "\x0f", "\x0f\x38", "\x0f\x3a" };
    unsigned rex_forms = mode == MODE_LONG64 ? 2 : 1;
    for (unsigned p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++)
        for (unsigned rex = 0; rex < rex_forms; rex++)
            for (unsigned m = 0; m < sizeof(maps) / sizeof(maps[0]); m++) {
                uint8_t bytes[15] = { 0 };
                (void)snprintf((char *)bytes, sizeof(bytes), "%s%s%s", prefixes[p],
                               rex ? "\x48" : "", maps[m]);
                each_opcode(bytes, (unsigned)strlen((char *)bytes), mode, visit, self);
            }
    uint8_t bytes[15] = { 0x0f, 0x0f, 0xc1 };
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        bytes[3] = (uint8_t)opcode;
        visit(self, bytes, mode);
    }
}

/* Every field of VEX and XOP that is not part of an operand: map, pp, W, L; and vvvv with and without a register. */
static void each_vex(enum cpu_mode mode, uint8_t first, uint8_t map_low, uint8_t map_high,
                     visit_fn *visit, void *self)
{
    for (unsigned map = map_low; map <= map_high; map++)
        for (unsigned field = 0; field < 32; field++) {
            unsigned pp = field & 3, l = field >> 2 & 1, w = field >> 3 & 1, v = field >> 4;
            uint8_t bytes[15] = { first, (uint8_t)(0xe0 | map),
                                  (uint8_t)(w << 7 | (v ? 0x70 : 0x78) | l << 2 | pp) };
            each_opcode(bytes, 3, mode, visit, self);
        }
}

static void each_evex(enum cpu_mode mode, visit_fn *visit, void *self)
{
    for (unsigned map = 1; map <= 6; map++)
        for (unsigned field = 0; field < 32; field++) {
            unsigned pp = field & 3, w = field >> 2 & 1, l = field >> 3;
            uint8_t bytes[15] = { 0x62,
                                  (uint8_t)(0xf0 | map),
                                  (uint8_t)(w << 7 | 0x7c | pp),
                                  (uint8_t)(0x08 | l << 5),
                                  0,
                                  0xc1 };
            for (unsigned opcode = 0; opcode < 256; opcode++) {
                bytes[4] = (uint8_t)opcode;
                visit(self, bytes, mode);
            }
        }
}

static void each_encoding(enum cpu_mode mode, visit_fn *visit, void *self)
{
    each_legacy(mode, visit, self);
    each_vex(mode, 0xc4, 0, 3, visit, self);
    each_vex(mode, 0x8f, 8, 10, visit, self);
    each_evex(mode, visit, self);
}

/* --- every instruction has a body, or is #UD ----------------------------------------------- */

#define MODELS_MAX 64
struct audit {
    struct kit *k;
    struct lowering lowering;
    insn_body *undefined; /* what an encoding that does not exist is bound to */
    struct cpu_model model[MODELS_MAX];
    unsigned models;
    uint64_t encodings, instructions;
    unsigned wrong;
    /* A bit for each mnemonic: it was seen, it was told of. */
    uint8_t seen[ZYDIS_MNEMONIC_MAX_VALUE + 1], told[ZYDIS_MNEMONIC_MAX_VALUE + 1];
};

static void add_model(struct audit *audit, const char *text)
{
    ck_assert_uint_lt(audit->models, MODELS_MAX);
    ck_assert_int_eq(cpu_model_parse(text, &audit->model[audit->models++], NULL), PACIFICA_OK);
}

static void audit_begin(struct audit *audit)
{
    *audit = (struct audit){ .k = kit_new() };
    audit->lowering = lowering_for(audit->k->cpu);
    struct insn in = { .len = 1 };
    audit->lowering.bind(audit->lowering.self, &in, DECODE_INVALID);
    audit->undefined = in.body;
}

static const char *mode_name(enum cpu_mode mode)
{
    for (unsigned i = 0; i < MODES; i++)
        if (modes[i].mode == mode)
            return modes[i].name;
    return "?";
}

static void tell(const char *what, const struct insn *in, enum cpu_mode mode, const char *model)
{
    (void)fprintf(stderr, "%s: %s (%s) in %s mode, model %s:", what,
                  ZydisMnemonicGetString((ZydisMnemonic)in->mnemonic),
                  ZydisISASetGetString((ZydisISASet)in->isa_set), mode_name(mode), model);
    for (unsigned i = 0; i < in->len; i++)
        (void)fprintf(stderr, " %02x", in->bytes[i]);
    (void)fputc('\n', stderr);
}

/* Is a body bound? */
static bool has_body(const struct audit *audit, const struct insn *in)
{
    return in->body != audit->undefined;
}

static void visit_binding(void *self, const uint8_t bytes[15], enum cpu_mode mode)
{
    struct audit *audit = self;
    struct insn in;
    audit->encodings++;
    if (decode_insn(bytes, 15, mode, &in) != DECODE_OK)
        return;
    audit->instructions++;
    audit->seen[in.mnemonic] = 1;
    /* LOCK has rules of its own: tests/cpu/test_decoding.c. */
    if (in.prefixes & PREFIX_LOCK)
        return;
    struct need need = need_of(&in);
    for (unsigned m = 0; m < audit->models; m++) {
        struct insn bound = in;
        audit->k->cpu->model = &audit->model[m];
        audit->lowering.bind(audit->lowering.self, &bound, DECODE_OK);
        if (has_body(audit, &bound) == offers(&audit->model[m], need))
            continue;
        audit->wrong++;
        if (!audit->told[in.mnemonic])
            tell(has_body(audit, &bound) ? "not offered, but has a body" : "offered, but has none",
                 &in, mode, audit->model[m].name);
        audit->told[in.mnemonic] = 1;
    }
}

START_TEST(what_a_model_offers_has_a_body_and_nothing_else_has)
{
    struct audit audit;
    audit_begin(&audit);
    for (unsigned n = 0; cpu_model_name(n); n++)
        add_model(&audit, cpu_model_name(n));
    each_encoding(modes[_i].mode, visit_binding, &audit);
    unsigned mnemonics = 0;
    for (unsigned i = 0; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++)
        mnemonics += audit.seen[i];
    (void)printf("%s: %llu encodings, %llu of them instructions, %u mnemonics\n", modes[_i].name,
                 (unsigned long long)audit.encodings, (unsigned long long)audit.instructions,
                 mnemonics);
    ck_assert_uint_gt(mnemonics, modes[_i].mode == MODE_LONG64 ? 1000 : 500);
    ck_assert_uint_eq(audit.wrong, 0);
    kit_free(audit.k);
}
END_TEST

/* Each feature that instructions need, switched off: they, and those that build on it, are #UD. */
START_TEST(what_is_switched_off_is_undefined)
{
    struct audit audit;
    bool used[CPU_FEATURE_COUNT] = { false };
    audit_begin(&audit);
    for (unsigned set = 0; set <= ZYDIS_ISA_SET_MAX_VALUE; set++)
        if (needs[set].first != NOBODY)
            used[needs[set].first] = used[needs[set].second] = true;
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
        used[exceptions[i].need.first] = true;
    for (int f = 1; f < CPU_FEATURE_COUNT; f++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "max,-%s", cpu_features[f].option);
        if (used[f] && cpu_features[f].offered)
            add_model(&audit, text);
    }
    ck_assert_uint_gt(audit.models, 20);
    each_encoding(MODE_LONG64, visit_binding, &audit);
    ck_assert_uint_eq(audit.wrong, 0);
    kit_free(audit.k);
}
END_TEST

/* --- every body runs --------------------------------------------------------------------- */

/* Those that #UD when all is enabled, in 64-bit mode at CPL 0 and elsewhere, and why. */
static bool may_be_undefined(const struct insn *in, enum cpu_mode mode)
{
    bool real = mode == MODE_REAL || mode == MODE_REAL32 || mode == MODE_V86;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2: return true;
    case ZYDIS_MNEMONIC_RSM: return true;     /* outside SMM */
    case ZYDIS_MNEMONIC_VMMCALL: return true; /* not intercepted */
    case ZYDIS_MNEMONIC_MONITOR:
    case ZYDIS_MNEMONIC_MWAIT:
    case ZYDIS_MNEMONIC_CLAC:
    case ZYDIS_MNEMONIC_STAC: return mode == MODE_V86; /* at level 3 */
    case ZYDIS_MNEMONIC_MOV:                           /* CR1, DR4 with CR4.DE, CS */
        return in->op[0].kind == OPERAND_CR || in->op[1].kind == OPERAND_CR ||
               in->op[0].kind == OPERAND_DR || in->op[1].kind == OPERAND_DR ||
               in->op[0].kind == OPERAND_SEG;
    case ZYDIS_MNEMONIC_SYSCALL: return mode != MODE_LONG64 && real;
    default: break;
    }
    if (in->isa_set == ZYDIS_ISA_SET_CET) /* without paging */
        return real || mode == MODE_PROT32 || mode == MODE_PROT16;
    return (in->isa_set == ZYDIS_ISA_SET_SVM || in->isa_set == ZYDIS_ISA_SET_I286PROTECTED) && real;
}

/* Everything enabled, at the highest privilege, and registers that point to memory that may be written. */
static void enable_all(struct kit *k, enum cpu_mode mode)
{
    struct vcpu *cpu = k->cpu;
    bool small =
        mode == MODE_COMPAT16 || mode == MODE_PROT16 || mode == MODE_REAL || mode == MODE_V86;
    kit_mode(k,
             mode == MODE_LONG64                              ? MODE_LONG64
             : mode == MODE_COMPAT32 || mode == MODE_COMPAT16 ? MODE_COMPAT32
                                                              : MODE_PROT32,
             0);
    for (int s = SEG_ES; s <= SEG_GS; s++) {
        if (small)
            cpu->regs.seg[s].attr &= (uint16_t)~SEG_ATTR_DB;
        if (mode == MODE_REAL || mode == MODE_REAL32 || mode == MODE_V86)
            cpu->regs.seg[s].selector = 0;
    }
    if (mode == MODE_REAL || mode == MODE_REAL32)
        cpu->regs.cr0 &= ~(uint64_t)CR0_PE;
    if (mode == MODE_V86) {
        cpu->rflags |= FLAG_VM | FLAG_IOPL;
        cpu->regs.cpl = 3;
        for (int s = SEG_ES; s <= SEG_GS; s++)
            cpu->regs.seg[s].attr = 0xf3;
    }
    cpu->regs.cr4 |= control_cr4_valid(cpu) &
                     ~(uint64_t)(CR4_LA57 | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_TSD);
    cpu->regs.efer |= control_efer_valid(cpu) & ~(uint64_t)(EFER_LME | EFER_LMA);
    cpu->simd.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_PKRU;
    cpu->shadow.u_cet = cpu->shadow.s_cet = SHADOW_CET_ENABLE | SHADOW_CET_WRITE;
    cpu->x87.fcw = 0x37f;
    for (unsigned r = 0; r < 16; r++)
        cpu->r[r] = 0x8800;
    cpu->r[REG_RSP] = small ? 0xf000 : STACK_TOP;
    cpu->r[REG_RSI] = 0x40;
    cpu->r[REG_RDI] = 0x8900;
    cpu->r[REG_RCX] = 0x20;
    cpu->r[REG_RIP] = small ? 0x9000 : CODE_SPA;
    cpu_update_mode(cpu);
    ck_assert_int_eq(cpu->mode, mode);
}

#define FORMS (1u << 20)
struct runner {
    struct audit audit;
    struct vcpu start;
    uint8_t form[FORMS / 8];
    unsigned runs;
};

/* Instructions with the same mnemonic, operands, sizes and prefixes are one form. */
static bool is_new_form(struct runner *runner, const struct insn *in)
{
    const uint8_t parts[] = { (uint8_t)in->mnemonic,
                              (uint8_t)(in->mnemonic >> 8),
                              in->vex,
                              in->op_size,
                              in->addr_size,
                              in->prefixes,
                              in->op[0].kind,
                              in->op[0].size,
                              in->op[1].kind,
                              in->op[1].size,
                              in->op[2].kind,
                              in->op[2].size,
                              in->op[3].kind };
    uint32_t hash = 2166136261u;
    for (unsigned i = 0; i < sizeof(parts); i++)
        hash = (hash ^ parts[i]) * 16777619u;
    hash = (hash ^ hash >> 15) % FORMS;
    bool is_new = !(runner->form[hash / 8] >> hash % 8 & 1);
    runner->form[hash / 8] |= (uint8_t)(1u << hash % 8);
    return is_new;
}

static void visit_running(void *self, const uint8_t bytes[15], enum cpu_mode mode)
{
    struct runner *runner = self;
    struct audit *audit = &runner->audit;
    struct vcpu *cpu = audit->k->cpu;
    struct insn in;
    if (decode_insn(bytes, 15, mode, &in) != DECODE_OK)
        return;
    audit->lowering.bind(audit->lowering.self, &in, DECODE_OK);
    if (!has_body(audit, &in) || !is_new_form(runner, &in))
        return;
    (void)mem_regime(cpu);
    enum step step = insn_run(cpu, &in);
    runner->runs++;
    bool undefined = step == STEP_RAISED && !cpu->raised.npf && cpu->raised.event.vector == EXC_UD;
    bool stopped = step == STEP_STOP;
    if (stopped || (undefined && !may_be_undefined(&in, mode))) {
        audit->wrong++;
        if (!audit->told[in.mnemonic])
            tell(stopped ? cpu->stop.text : "runs into #UD", &in, mode, "max");
        audit->told[in.mnemonic] = 1;
    }
    if (cpu->svm->guest)
        svm_abandon(cpu->svm);
    paging_flush_all(cpu->paging);
    *cpu = runner->start;
    cpu->context_stale = true;
}

START_TEST(every_body_runs)
{
    enum cpu_mode mode = modes[_i].mode;
    struct runner *runner = calloc(1, sizeof(*runner));
    ck_assert_ptr_nonnull(runner);
    audit_begin(&runner->audit);
    enable_all(runner->audit.k, mode);
    runner->start = *runner->audit.k->cpu;
    each_encoding(mode, visit_running, runner);
    (void)printf("%s: %u forms ran\n", modes[_i].name, runner->runs);
    ck_assert_uint_gt(runner->runs, 500);
    ck_assert_uint_eq(runner->audit.wrong, 0);
    kit_free(runner->audit.k);
    free(runner);
}
END_TEST

/* The table above says of each of Zydis's instruction sets what it needs, or that it belongs to the base. */
START_TEST(instruction_sets_of_the_base_are_few)
{
    static const uint8_t base[] = {
        ZYDIS_ISA_SET_INVALID, ZYDIS_ISA_SET_AMD,           ZYDIS_ISA_SET_FAT_NOP,
        ZYDIS_ISA_SET_I186,    ZYDIS_ISA_SET_I286PROTECTED, ZYDIS_ISA_SET_I286REAL,
        ZYDIS_ISA_SET_I386,    ZYDIS_ISA_SET_I486,          ZYDIS_ISA_SET_I486REAL,
        ZYDIS_ISA_SET_I86,     ZYDIS_ISA_SET_LAHF,          ZYDIS_ISA_SET_LONGMODE,
        ZYDIS_ISA_SET_LZCNT,   ZYDIS_ISA_SET_PAUSE,         ZYDIS_ISA_SET_PENTIUMREAL,
        ZYDIS_ISA_SET_PPRO,    ZYDIS_ISA_SET_PREFETCHWT1,   ZYDIS_ISA_SET_PREFETCH_NOP,
        ZYDIS_ISA_SET_RDPMC,   ZYDIS_ISA_SET_SSE_PREFETCH,
    };
    for (unsigned set = 0; set <= ZYDIS_ISA_SET_MAX_VALUE; set++) {
        struct insn in = { .isa_set = (uint8_t)set };
        bool is_base = memchr(base, (int)set, sizeof(base)) != NULL;
        ck_assert_msg((need_of(&in).first == 0) == is_base, "%s",
                      ZydisISASetGetString((ZydisISASet)set));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("audit");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 240);
    tcase_add_test(all, instruction_sets_of_the_base_are_few);
    tcase_add_loop_test(all, what_a_model_offers_has_a_body_and_nothing_else_has, 0, (int)MODES);
    tcase_add_test(all, what_is_switched_off_is_undefined);
    tcase_add_loop_test(all, every_body_runs, 0, (int)MODES);
    suite_add_tcase(suite, all);
    return kit_run(suite);
}
