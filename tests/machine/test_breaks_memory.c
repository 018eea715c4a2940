/* WRITE, READ and ACCESS breaks. */
#include "tests/machine/debug_kit.h"

#include "tests/check_main.h"

#define WATCHED (PAGED_LA + 0x3000)

/* 10000: mov [rdi], eax; 10002: nop; 10003: inc eax; 10005: jmp 10000 */
static void stores(struct scene *scene)
{
    scene_init(scene, 1);
    CODE_AT(scene, CODE_SPA, 0x89, 0x07, 0x90, 0xff, 0xc0, 0xeb, 0xf9);
    scene->machine->cpu[0]->r[REG_RDI] = WATCHED;
    scene->machine->cpu[0]->r[REG_RAX] = 1;
}

START_TEST(write_stops_behind_the_instruction_that_changes_bytes)
{
    for (int space = 0; space <= 1; space++) {
        struct scene s;
        stores(&s);
        scene_run(&s, 4000); /* fast entries and links are there */
        unsigned id = watch(&s, PACIFICA_BREAK_WRITE,
                            space ? PACIFICA_SPACE_PHYSICAL : PACIFICA_SPACE_LINEAR, WATCHED, 4);
        for (uint64_t i = 1001; i < 1010; i++) {
            scene_run(&s, 1000);
            stopped_at(&s, id, CODE_SPA + 2);
            ck_assert_uint_eq(phys_read(s.machine->memory, WATCHED, 4), i);
        }
        ck_assert_int_eq(pacifica_break_remove(s.machine, id), PACIFICA_OK);
        ck_assert_int_eq(scene_run(&s, 4000), PACIFICA_STOP_LIMIT_INSNS);
        ck_assert_uint_eq(
            memory_marks(s.machine->memory, WATCHED >> 12) & (PAGE_WATCHED | PAGE_TOLD), 0);
        scene_fini(&s);
    }
}
END_TEST

START_TEST(writing_the_same_bytes_is_no_change)
{
    struct scene s;
    stores(&s);
    CODE_AT(&s, CODE_SPA + 3, 0x90, 0x90); /* no inc */
    phys_write(s.machine->memory, WATCHED, 4, 1);
    (void)watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_LINEAR, WATCHED, 4);
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_LIMIT_INSNS);
    unsigned id = watch(&s, PACIFICA_BREAK_ACCESS, PACIFICA_SPACE_LINEAR, WATCHED, 4);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 2);
    scene_fini(&s);
}
END_TEST

/* Bytes beside the range, on both sides and in the same page. */
START_TEST(only_the_range_counts)
{
    static const struct {
        int at;
        bool meets;
    } rows[] = { { -4, false }, { -3, true }, { 7, true }, { 8, false } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;
        stores(&s);
        s.machine->cpu[0]->r[REG_RAX] = 0x01010101;
        s.machine->cpu[0]->r[REG_RDI] = WATCHED + 0x100 + (uint64_t)(int64_t)rows[i].at;
        (void)watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_LINEAR, WATCHED + 0x100, 8);
        ck_assert_int_eq(scene_run(&s, 1000),
                         rows[i].meets ? PACIFICA_STOP_BREAK : PACIFICA_STOP_LIMIT_INSNS);
        scene_fini(&s);
    }
}
END_TEST

/* A range over two pages that are no neighbours in memory, and stores over the border. */
START_TEST(ranges_cross_pages)
{
    struct scene s;
    stores(&s);
    kit_page(&s.kit, 3, 0x500000 + 7);
    kit_page(&s.kit, 4, 0x700000 + 7);
    unsigned id = watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_LINEAR, WATCHED + 0xffe, 4);
    s.machine->cpu[0]->r[REG_RAX] = 0x01000000; /* its last byte is the first of the second page */
    s.machine->cpu[0]->r[REG_RDI] = WATCHED + 0xffd;
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 2);
    ck_assert_uint_eq(phys_read(s.machine->memory, 0x700000, 1), 1);
    scene_run(&s, 2000); /* its lowest byte is outside: 256 rounds do not matter */
    ck_assert_int_eq(s.result.stop, PACIFICA_STOP_BREAK);
    ck_assert_uint_eq(phys_read(s.machine->memory, 0x500ffe, 1), 1);
    ck_assert_uint_eq(s.machine->cpu[0]->r[REG_RAX], 0x01000100);
    scene_fini(&s);
}
END_TEST

/* The other address of the same memory; a string instruction stops behind the iteration. */
START_TEST(aliases_and_strings_are_seen)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    kit_page(&s.kit, 9, WATCHED + 7);
    CODE_AT(&s, CODE_SPA, 0xf3, 0xaa, 0xf4); /* rep stosb; hlt */
    cpu->r[REG_RAX] = 5;
    cpu->r[REG_RCX] = 2000;
    cpu->r[REG_RDI] = PAGED_LA + 0x9000;
    unsigned id = watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_LINEAR, WATCHED + 1000, 2);
    scene_run(&s, 5000);
    stopped_at(&s, id, CODE_SPA);
    ck_assert_uint_eq(cpu->r[REG_RCX], 999);
    scene_run(&s, 5000);
    stopped_at(&s, id, CODE_SPA);
    ck_assert_uint_eq(cpu->r[REG_RCX], 998);
    ck_assert_int_eq(scene_run(&s, 5000), PACIFICA_STOP_HALTED);
    scene_fini(&s);
}
END_TEST

START_TEST(what_a_debugger_writes_becomes_the_old_bytes)
{
    struct scene s;
    stores(&s);
    unsigned id = watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_LINEAR, WATCHED, 4);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 2);
    const uint32_t two = 2; /* what the guest is about to store */
    ck_assert_uint_eq(
        pacifica_machine_memory_write(s.machine, 0, PACIFICA_SPACE_LINEAR, WATCHED, &two, 4), 4);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 2);
    ck_assert_uint_eq(phys_read(s.machine->memory, WATCHED, 4), 3);
    scene_fini(&s);
}
END_TEST

/* A device that writes between two runs. */
START_TEST(writes_between_runs_stop_the_next_one_at_once)
{
    struct scene s;
    stores(&s);
    unsigned id = watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_PHYSICAL, 0x600000, 4);
    scene_run(&s, 10);
    phys_write(s.machine->memory, 0x600000, 4, 77);
    uint64_t steps = scene_steps(&s);
    scene_run(&s, 10);
    ck_assert_int_eq(s.result.stop, PACIFICA_STOP_BREAK);
    ck_assert_uint_eq(s.result.break_id, id);
    ck_assert_uint_eq(scene_steps(&s), steps);
    ck_assert_int_eq(scene_run(&s, 10), PACIFICA_STOP_LIMIT_INSNS);
    scene_fini(&s);
}
END_TEST

/* The accessed bit that a walk sets. */
START_TEST(table_walks_write)
{
    struct scene s;
    stores(&s);
    unsigned id = watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_PHYSICAL, PT_SPA + 8 * 3, 8);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 2);
    ck_assert_uint_eq(phys_read(s.machine->memory, PT_SPA + 8 * 3, 1), 0x67);
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_LIMIT_INSNS);
    scene_fini(&s);
}
END_TEST

/* --- following ------------------------------------------------------------------------------- */

/* The guest remaps the page: 10000: mov [rsi], rbx; invlpg [rdi]; mov [rdi], eax; inc eax; jmp $ */
START_TEST(ranges_follow_the_tables)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    CODE_AT(&s, CODE_SPA, 0x48, 0x89, 0x1e, 0x0f, 0x01, 0x3f, 0x89, 0x07, 0xff, 0xc0, 0xeb, 0xfe);
    cpu->r[REG_RSI] = PT_SPA + 8 * 3;
    cpu->r[REG_RBX] = 0x700000 + 7;
    cpu->r[REG_RDI] = WATCHED;
    cpu->r[REG_RAX] = 9;
    phys_write(s.machine->memory, 0x700000, 4, 5); /* another page holds other bytes: no change */
    unsigned id = watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_LINEAR, WATCHED, 4);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 8);
    ck_assert_uint_eq(phys_read(s.machine->memory, 0x700000, 4), 9);
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_LIMIT_INSNS);
    scene_fini(&s);
}
END_TEST

START_TEST(a_page_that_comes_later_is_watched_from_then_on)
{
    struct scene s;
    stores(&s);
    kit_page(&s.kit, 3, 0);
    /* #PF: mov qword [PTE], page; add rsp, 8; iretq */
    CODE_AT(&s, HANDLER + 16 * EXC_PF, 0xe9, 0xfb, 0x0f, 0x00, 0x00);
    CODE_AT(&s, HANDLER + 16 * EXC_PF + 0x1000, 0x48, 0xc7, 0x04, 0x25, 0x18, 0x40, 0, 0, 0x07,
            0x30, 0x40, 0, 0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf);
    unsigned id = watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_LINEAR, WATCHED, 4);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 2);
    scene_fini(&s);
}
END_TEST

/* A second address space in which the range is elsewhere: mov cr3, rbx; mov [rdi], eax; mov cr3, rcx; mov [rdi], eax; hlt */
START_TEST(ranges_follow_cr3)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    struct memory *memory = s.machine->memory;
    for (uint64_t at = 0; at < 4096; at += 8) { /* tables at 900000: as the first ones, but PTE 3 */
        phys_write(memory, 0x902000 + at, 8, phys_read(memory, 0x3000 + at, 8));
        phys_write(memory, 0x903000 + at, 8, phys_read(memory, PT_SPA + at, 8));
    }
    phys_write(memory, 0x900000, 8, 0x901007);
    phys_write(memory, 0x901000, 8, 0x902007);
    phys_write(memory, 0x902000 + 8 * (PAGED_LA >> 21), 8, 0x903007);
    phys_write(memory, 0x903000 + 8 * 3, 8, 0x700007);
    phys_write(memory, 0x700000, 4, 5);
    CODE_AT(&s, CODE_SPA, 0x0f, 0x22, 0xdb, 0x89, 0x07, 0x0f, 0x22, 0xd9, 0x89, 0x07, 0xf4);
    cpu->r[REG_RBX] = 0x900000;
    cpu->r[REG_RCX] = PML4_SPA;
    cpu->r[REG_RDI] = WATCHED;
    cpu->r[REG_RAX] = 9;
    unsigned id = watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_LINEAR, WATCHED, 4);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 5);
    ck_assert_uint_eq(phys_read(memory, 0x700000, 4), 9);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 10);
    ck_assert_uint_eq(phys_read(memory, WATCHED, 4), 9);
    ck_assert_int_eq(scene_run(&s, 1000), PACIFICA_STOP_HALTED);
    scene_fini(&s);
}
END_TEST

/* #VMEXIT writes the VMCB while the guest's context is current; the range is linear in the host. */
START_TEST(vmcb_fields_are_seen_when_vmexit_writes_them)
{
    for (int space = 0; space <= 1; space++) {
        struct scene s;
        scene_init(&s, 1);
        scene_guest(&s);
        struct vcpu *cpu = s.machine->cpu[0];
        CODE_AT(&s, CODE_SPA, 0x0f, 0x01, 0xd8, 0xff, 0xc3, 0xeb, 0xf9); /* vmrun; inc ebx; jmp */
        CODE_AT(&s, GUEST_AT, 0x40, 0x0f, 0x01, 0xd9, 0xf4);             /* inc eax; vmmcall; hlt */
        cpu->r[REG_RAX] = VMCB_SPA;
        unsigned id =
            watch(&s, PACIFICA_BREAK_WRITE, space ? PACIFICA_SPACE_PHYSICAL : PACIFICA_SPACE_LINEAR,
                  VMCB_SPA + VMCB_AT_EXITCODE, 8);
        scene_run(&s, 1000);
        stopped_at(&s, id, CODE_SPA + 3);
        ck_assert(!svm_guest(cpu));
        ck_assert_uint_eq(VMCB_GET(s.kit.vmcb, EXITCODE), VMEXIT_VMMCALL);
        scene_fini(&s);
    }
}
END_TEST

/* --- READ and ACCESS ---------------------------------------------------------------------------- */

/* 10000: mov eax, [rdi]; 10002: mov [rdi+8], eax; 10005: movsb, from rsi; 10006: jmp 10000 */
static void reads(struct scene *scene)
{
    scene_init(scene, 1);
    CODE_AT(scene, CODE_SPA, 0x8b, 0x07, 0x89, 0x47, 0x08, 0xa4, 0xeb, 0xf8);
    scene->machine->cpu[0]->r[REG_RDI] = WATCHED;
    scene->machine->cpu[0]->r[REG_RSI] = WATCHED + 0x800;
    scene_run(scene, 4);
    scene->machine->cpu[0]->r[REG_RDI] = WATCHED;
    scene->machine->cpu[0]->r[REG_RSI] = WATCHED + 0x800;
}

START_TEST(read_stops_behind_reads_and_not_behind_writes)
{
    static const struct {
        enum pacifica_break_kind kind;
        unsigned at, rip;
    } rows[] = { { PACIFICA_BREAK_READ, 3, 2 },
                 { PACIFICA_BREAK_READ, 0x800, 6 },
                 { PACIFICA_BREAK_ACCESS, 3, 2 },
                 { PACIFICA_BREAK_ACCESS, 8, 5 },
                 { PACIFICA_BREAK_READ, 0x900, 0 } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;
        reads(&s);
        unsigned id = watch(&s, rows[i].kind, PACIFICA_SPACE_LINEAR, WATCHED + rows[i].at, 1);
        scene_run(&s, 4);
        if (rows[i].rip)
            stopped_at(&s, id, CODE_SPA + rows[i].rip);
        else
            ck_assert_int_eq(s.result.stop, PACIFICA_STOP_LIMIT_INSNS);
        scene_fini(&s);
    }
}
END_TEST

/* rep movsb reads the byte in its 1001st iteration; the fast way of strings is not taken there. */
START_TEST(strings_read_byte_by_byte_where_watched)
{
    struct scene s;
    scene_init(&s, 1);
    struct vcpu *cpu = s.machine->cpu[0];
    CODE_AT(&s, CODE_SPA, 0xf3, 0xa4, 0xf4);
    cpu->r[REG_RCX] = 2000;
    cpu->r[REG_RSI] = WATCHED;
    cpu->r[REG_RDI] = PAGED_LA + 0x8000;
    unsigned id = watch(&s, PACIFICA_BREAK_READ, PACIFICA_SPACE_PHYSICAL, WATCHED + 1000, 1);
    scene_run(&s, 5000);
    stopped_at(&s, id, CODE_SPA);
    ck_assert_uint_eq(cpu->r[REG_RCX], 999);
    ck_assert_int_eq(scene_run(&s, 5000), PACIFICA_STOP_HALTED);
    scene_fini(&s);
}
END_TEST

/* --- several processors ---------------------------------------------------------------------------- */

/* Each increments its own counter, the third one the watched one. */
START_TEST(other_processors_write_too)
{
    struct scene s;
    scene_init(&s, 4);
    CODE_AT(&s, CODE_SPA, 0xff, 0x07, 0x90, 0xeb, 0xfb); /* inc dword [rdi]; nop; jmp */
    for (unsigned i = 0; i < 4; i++)
        s.machine->cpu[i]->r[REG_RDI] = WATCHED + 8 * i;
    struct pacifica_break wanted = break_of(PACIFICA_BREAK_WRITE);
    wanted.address = WATCHED + 16;
    wanted.size = 4;
    unsigned id = add_break(&s, wanted);
    for (unsigned i = 1; i < 5; i++) {
        scene_run(&s, 1000000);
        stopped_at(&s, id, CODE_SPA + 2);
        ck_assert_uint_eq(s.result.cpu, 2);
        ck_assert_uint_eq(phys_read(s.machine->memory, WATCHED + 16, 4), i);
    }
    ck_assert_int_eq(pacifica_break_remove(s.machine, id), PACIFICA_OK);
    wanted.cpu = 1; /* who writes other bytes */
    (void)add_break(&s, wanted);
    ck_assert_int_eq(scene_run(&s, 200000), PACIFICA_STOP_LIMIT_INSNS);
    s.machine->cpu[1]->r[REG_RDI] = WATCHED + 16;
    scene_run(&s, 200000);
    ck_assert_int_eq(s.result.stop, PACIFICA_STOP_BREAK);
    ck_assert_uint_eq(s.result.cpu, 1);
    scene_fini(&s);
}
END_TEST

/* --- loading ----------------------------------------------------------------------------------------- */

struct stream {
    uint8_t *bytes;
    size_t size;
};

static bool keep(void *self, const void *bytes, size_t size)
{
    struct stream *stream = self;
    stream->bytes = realloc(stream->bytes, stream->size + size);
    memcpy(stream->bytes + stream->size, bytes, size);
    stream->size += size;
    return true;
}

/* A snapshot of before: what is watched holds its old bytes then, and each change stops again. */
START_TEST(breaks_outlive_loading)
{
    struct scene s;
    struct stream stream = { 0 };
    stores(&s);
    const struct pacifica_writer writer = { .write = keep, .self = &stream };
    ck_assert_int_eq(pacifica_machine_save(s.machine, &writer, &s.diag), PACIFICA_OK);
    unsigned id = watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_LINEAR, WATCHED, 4);
    unsigned at = break_at(&s, CODE_SPA + 3);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 1; i <= 4; i++) {
            scene_run(&s, 1000);
            stopped_at(&s, id, CODE_SPA + 2);
            ck_assert_uint_eq(phys_read(s.machine->memory, WATCHED, 4), i);
            scene_run(&s, 1000);
            stopped_at(&s, at, CODE_SPA + 3);
        }
        const struct pacifica_bytes bytes = { stream.bytes, stream.size };
        ck_assert_int_eq(pacifica_machine_load(s.machine, &bytes, &s.diag), PACIFICA_OK);
    }
    free(stream.bytes);
    scene_fini(&s);
}
END_TEST

/* A reset loads nothing here, but what is watched holds its old bytes then. */
START_TEST(breaks_outlive_a_refresh)
{
    struct scene s;
    stores(&s);
    unsigned id = watch(&s, PACIFICA_BREAK_WRITE, PACIFICA_SPACE_LINEAR, WATCHED, 4);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 2);
    phys_write(s.machine->memory, WATCHED, 4, 1234);
    machine_breaks_refresh(s.machine);
    scene_run(&s, 1000);
    stopped_at(&s, id, CODE_SPA + 2);
    ck_assert_uint_eq(phys_read(s.machine->memory, WATCHED, 4), 2);
    scene_fini(&s);
}
END_TEST

CHECK_MAIN("breaks_memory", write_stops_behind_the_instruction_that_changes_bytes,
           writing_the_same_bytes_is_no_change, only_the_range_counts, ranges_cross_pages,
           aliases_and_strings_are_seen, what_a_debugger_writes_becomes_the_old_bytes,
           writes_between_runs_stop_the_next_one_at_once, table_walks_write,
           ranges_follow_the_tables, a_page_that_comes_later_is_watched_from_then_on,
           ranges_follow_cr3, vmcb_fields_are_seen_when_vmexit_writes_them,
           read_stops_behind_reads_and_not_behind_writes, strings_read_byte_by_byte_where_watched,
           other_processors_write_too, breaks_outlive_loading, breaks_outlive_a_refresh)
