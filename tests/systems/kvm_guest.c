/* A small user of /dev/kvm: two guests, in real mode and in 64-bit mode, that meet I/O, memory that is not there, CPUID and
 * MSRs. Prints a line for each; the last says how many exits there were. Runs inside the emulated machine. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_BYTES 0x100000u
#define CODE 0x8000u
#define TABLES 0x1000u
#define MMIO 0x200000u
#define ROUNDS 2000u

struct guest {
    int kvm, vm, cpu;
    struct kvm_run *run;
    uint8_t *memory;
    unsigned long exits, io_bytes, io_sum, mmio_reads, mmio_writes, mmio_sum;
};

static void need(int holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    exit(1);
}

static void guest_open(struct guest *g)
{
    memset(g, 0, sizeof(*g));
    g->kvm = open("/dev/kvm", O_RDWR);
    need(g->kvm >= 0, "/dev/kvm");
    need(ioctl(g->kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION, "KVM_GET_API_VERSION");
    g->vm = ioctl(g->kvm, KVM_CREATE_VM, 0);
    need(g->vm >= 0, "KVM_CREATE_VM");
    g->memory =
        mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(g->memory != MAP_FAILED, "mmap");
    struct kvm_userspace_memory_region region = { .memory_size = MEMORY_BYTES,
                                                  .userspace_addr = (uintptr_t)g->memory };
    need(ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0, "KVM_SET_USER_MEMORY_REGION");
    g->cpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
    need(g->cpu >= 0, "KVM_CREATE_VCPU");
    int size = ioctl(g->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    g->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, g->cpu, 0);
    need(g->run != MAP_FAILED, "mmap of the vCPU");
    static union {
        struct kvm_cpuid2 head;
        char bytes[sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2)];
    } cpuid;
    cpuid.head.nent = 256;
    need(ioctl(g->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) == 0, "KVM_GET_SUPPORTED_CPUID");
    need(ioctl(g->cpu, KVM_SET_CPUID2, &cpuid) == 0, "KVM_SET_CPUID2");
}

static void guest_close(struct guest *g)
{
    close(g->cpu);
    close(g->vm);
    close(g->kvm);
    munmap(g->memory, MEMORY_BYTES);
}

/* Answer exits until the guest halts. */
static void guest_run(struct guest *g, const char *name)
{
    for (;;) {
        need(ioctl(g->cpu, KVM_RUN, 0) == 0, "KVM_RUN");
        struct kvm_run *run = g->run;
        g->exits++;
        if (run->exit_reason == KVM_EXIT_HLT)
            return;
        if (run->exit_reason == KVM_EXIT_IO) {
            uint8_t *data = (uint8_t *)run + run->io.data_offset;
            for (unsigned i = 0; i < run->io.size * run->io.count; i++) {
                if (run->io.direction == KVM_EXIT_IO_IN)
                    data[i] = 0x5a;
                else
                    g->io_sum += data[i];
                g->io_bytes++;
            }
        } else if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write) {
            g->mmio_writes++;
            g->mmio_sum += run->mmio.data[0];
        } else if (run->exit_reason == KVM_EXIT_MMIO) {
            g->mmio_reads++;
            memset(run->mmio.data, 7, sizeof(run->mmio.data));
        } else {
            printf("kvm: %s: exit %u, hardware %llx\n", name, run->exit_reason,
                   run->exit_reason == KVM_EXIT_FAIL_ENTRY
                       ? (unsigned long long)run->fail_entry.hardware_entry_failure_reason
                       : 0);
            exit(1);
        }
    }
}

/* Real mode: ROUNDS times OUT to a port, a read from it, and CPUID. */
static const uint8_t real_code[] = {
    0xb9, ROUNDS & 0xff, ROUNDS >> 8,                   /* mov cx, ROUNDS */
    0x51,                                               /* next: push cx */
    0xba, 0x10,          0x00,        0xb0, 0x03, 0xee, /* mov dx, 10h; mov al, 3; out dx, al */
    0xec, 0x3c,          0x5a,        0x75, 0x0c,       /* in al, dx; cmp al, 5ah; jne halt */
    0x66, 0x31,          0xc0,        0x0f, 0xa2,       /* xor eax, eax; cpuid */
    0x66, 0x85,          0xc0,                          /* test eax, eax */
    0x59, 0xe2,          0xe9,                          /* pop cx; loop next */
    0x90, 0xf4                                          /* halt: hlt */
};

static void run_real(void)
{
    struct guest g;
    struct kvm_sregs sregs;
    struct kvm_regs regs = { .rip = CODE, .rsp = 0x7000, .rflags = 2 };
    guest_open(&g);
    memcpy(g.memory + CODE, real_code, sizeof(real_code));
    need(ioctl(g.cpu, KVM_GET_SREGS, &sregs) == 0, "KVM_GET_SREGS");
    sregs.cs.base = sregs.cs.selector = 0;
    need(ioctl(g.cpu, KVM_SET_SREGS, &sregs) == 0, "KVM_SET_SREGS");
    need(ioctl(g.cpu, KVM_SET_REGS, &regs) == 0, "KVM_SET_REGS");
    guest_run(&g, "real mode");
    need(ioctl(g.cpu, KVM_GET_REGS, &regs) == 0, "KVM_GET_REGS");
    printf("kvm: real mode: %lu exits, port bytes %lu, sum %lu, cx %llu\n", g.exits, g.io_bytes,
           g.io_sum, regs.rcx & 0xffff);
    guest_close(&g);
}

/* 64-bit mode: ROUNDS times memory that is not there, RDMSR of EFER, WRMSR of FS.base, CPUID and a page of memory. */
static const uint8_t
    long_code
        [] = {
            0xbf,        ROUNDS & 0xff,
            ROUNDS >> 8, 0,
            0, /* mov edi, ROUNDS */
            0x48,        0xbb,
            0,           0,
            0x20,        0,
            0,           0,
            0,           0, /* mov rbx, MMIO */
            0x8b,        0x03,
            0x88,        0x43,
            0x08, /* next: mov eax, [rbx]; mov [rbx + 8], al */
            0xb9,        0x80,
            0x00,        0x00,
            0xc0,        0x0f,
            0x32, /* mov ecx, EFER; rdmsr */
            0xb9,        0x00,
            0x01,        0x00,
            0xc0,        0x89,
            0xf8,        0x31,
            0xd2,              /* mov ecx, FS.base; mov eax, edi; xor edx, edx */
            0x0f,        0x30, /* wrmsr */
            0x53,        0x31,
            0xc0,        0x0f,
            0xa2,        0x5b, /* push rbx; xor eax, eax; cpuid; pop rbx */
            0x48,        0xff,
            0x04,        0x25,
            0x00,        0x00,
            0x09,        0x00, /* inc qword [90000h] */
            0xff,        0xcf,
            0x75,        0xd7, /* dec edi; jnz next */
            0xf4               /* hlt */
        };

static void put_table(uint8_t *memory, unsigned at, uint64_t entry)
{
    memcpy(memory + at, &entry, sizeof(entry));
}

static void run_long(void)
{
    struct guest g;
    struct kvm_sregs sregs;
    struct kvm_regs regs = { .rip = CODE, .rsp = 0x7000, .rflags = 2 };
    guest_open(&g);
    memcpy(g.memory + CODE, long_code, sizeof(long_code));
    put_table(g.memory, TABLES, (TABLES + 0x1000) | 3);
    put_table(g.memory, TABLES + 0x1000, (TABLES + 0x2000) | 3);
    for (unsigned i = 0; i < 512; i++) /* 2 MiB pages, to themselves */
        put_table(g.memory, TABLES + 0x2000 + 8 * i, (uint64_t)i << 21 | 0x83);
    need(ioctl(g.cpu, KVM_GET_SREGS, &sregs) == 0, "KVM_GET_SREGS");
    sregs.cr3 = TABLES;
    sregs.cr4 = 0x20;
    sregs.cr0 = 0x80000011;
    sregs.efer = 0x500;
    sregs.cs = (struct kvm_segment){
        .selector = 8, .limit = ~0u, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
    };
    sregs.ds = sregs.es = sregs.ss = (struct kvm_segment){
        .selector = 16, .limit = ~0u, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
    };
    need(ioctl(g.cpu, KVM_SET_SREGS, &sregs) == 0, "KVM_SET_SREGS");
    need(ioctl(g.cpu, KVM_SET_REGS, &regs) == 0, "KVM_SET_REGS");
    guest_run(&g, "64-bit mode");
    need(ioctl(g.cpu, KVM_GET_SREGS, &sregs) == 0, "KVM_GET_SREGS");
    uint64_t counted;
    memcpy(&counted, g.memory + 0x90000, sizeof(counted));
    printf("kvm: 64-bit mode: %lu exits, reads %lu, writes %lu, sum %lu, fs %llu, counted %llu\n",
           g.exits, g.mmio_reads, g.mmio_writes, g.mmio_sum, (unsigned long long)sregs.fs.base,
           (unsigned long long)counted);
    guest_close(&g);
}

int main(void)
{
    run_real();
    run_long();
    puts("kvm: both guests are done");
    return 0;
}
