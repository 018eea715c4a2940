/* boot.S: from the Multiboot loader to C in 64-bit mode.
 *
 * The loader (Multiboot Specification 0.6.96, 3.2 "Machine state") leaves us in flat 32-bit
 * protected mode, paging and interrupts off, EAX = 0x2badb002, EBX = address of the information
 * structure. Nothing else may be assumed, not even a GDT or a stack. */

#include "test-roms/lib/layout.h"

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000003 /* modules on page boundaries; memory information */

    .section .multiboot, "ax"
    .balign 4
    .long MULTIBOOT_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

/* ---- 32-bit part ------------------------------------------------------------------------------ */
    .text
    .code32
    .globl rom_entry32
rom_entry32:
    cli
    cld
    movl %ebx, rom_multiboot_info
    movl %eax, rom_multiboot_magic
    movl $boot_stack_top, %esp

    /* One PML4 entry, four PDP entries, 4 x 512 pages of 2 MiB: 4 GiB mapped to themselves.
     * U/S is set below the PML4, so that one bit there opens or closes everything for CPL 3. */
    movl $boot_pdpt + PAGE_P_W_U, boot_pml4
    movl $boot_pd + PAGE_P_W_U, %eax
    movl $boot_pdpt, %edi
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b
    andl $~PAGE_U_BIT, boot_pml4

    movl $PAGE_P_W_U | PAGE_PS_BIT, %eax
    movl $boot_pd, %edi
    movl $2048, %ecx
2:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    decl %ecx
    jnz 2b

    movl $CR4_PAE_BIT, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $MSR_EFER_NUMBER, %ecx
    rdmsr
    orl $EFER_SCE_LME_NXE, %eax
    wrmsr
    movl $CR0_BOOT, %eax /* PG, WP, NE, ET, MP, PE; CD and NW clear */
    movl %eax, %cr0
    lgdt boot_gdtr32
    ljmp $SEL_CODE64, $rom_entry64

    .balign 8
    .globl boot_gdtr32
boot_gdtr32:
    .word GDT_BYTES - 1
    .long rom_gdt

/* ---- 64-bit part ------------------------------------------------------------------------------ */
    .code64
rom_entry64:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    lgdt boot_gdtr64(%rip)
    movl $boot_stack_top, %esp
    xorl %ebp, %ebp
    call rom_start
3:  hlt
    jmp 3b

    .balign 8
boot_gdtr64:
    .word GDT_BYTES - 1
    .quad rom_gdt

/* ---- the GDT; the TSS descriptor is filled in by trap_init() ----------------------------------- */
    .data
    .balign 16
    .globl rom_gdt
rom_gdt:
    .quad 0
    .quad 0x00209b0000000000 /* 08 SEL_CODE64      64-bit code, DPL 0 */
    .quad 0x00cf93000000ffff /* 10 SEL_DATA        flat data, DPL 0 */
    .quad 0x00cffb000000ffff /* 18 SEL_USER_CODE32 32-bit code, DPL 3 (SYSRET base) */
    .quad 0x00cff3000000ffff /* 20 SEL_USER_DATA   flat data, DPL 3 */
    .quad 0x0020fb0000000000 /* 28 SEL_USER_CODE64 64-bit code, DPL 3 */
    .quad 0x00cf9b000000ffff /* 30 SEL_CODE32      32-bit code, DPL 0 */
    .quad 0x00cf13000000ffff /* 38 SEL_NOT_PRESENT data, P = 0 */
    .quad 0, 0               /* 40 SEL_TSS         16 bytes */
    .quad 0, 0, 0, 0         /* 50 SEL_FREE        four entries for the test */
    .globl rom_gdt_end
rom_gdt_end:

    .bss
    .balign 4096
    .globl boot_pml4, boot_pdpt, boot_pd
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pd:
    .skip 4 * 4096
boot_stack:
    .skip ROM_STACK_BYTES
    .globl boot_stack_top
boot_stack_top:
    .globl rom_multiboot_info, rom_multiboot_magic
rom_multiboot_info:
    .skip 8
rom_multiboot_magic:
    .skip 8
    .section .note.GNU-stack, "", @progbits
