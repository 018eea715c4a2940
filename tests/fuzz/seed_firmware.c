/* Seeds for fuzz_firmware: how large, where, and at the end 16 bytes for the reset vector. */
#include "tests/fuzz/seed_text.h"

#define TOP  \
    "\x02\0" \
    "\0\0\0\0\0\0\0\0" /* load_at is not looked at */

int main(int argc, char **argv)
{
    static const struct seed seed[] = {
        /* jmp f000:e05b, as firmware begins */
        SEED("far", "\x20" TOP "\0\xea\x5b\xe0\0\xf0 12/11/99\0\xfc\0"),
        /* mov ax, 1; lmsw ax; jmp 8:0 */
        SEED("lmsw", "\x10" TOP "\0\xb8\1\0\x0f\1\xf0\xea\0\0\x08\0\x90\x90\x90\x90\x90"),
        /* lgdt cs:[fff8]; mov eax, cr0; inc ax; mov cr0, eax */
        SEED("lgdt", "\x01" TOP "\0\x2e\x0f\1\x16\xf8\xff\x0f\x20\xc0\x40\x0f\x22\xc0\xeb\xf1\x90"),
        /* sti; hlt; int 13; out 80, al; iret */
        SEED("int",
             "\xff" TOP "\0\xfb\xf4\xcd\x13\xe6\x80\xcf\xfa\xcc\xce\x9c\x9d\x60\x61\xeb\xee"),
        SEED("placed", "\x04\4\0\0\0\0\x0c\0\0\0\0\0\x55\xaa\x40\xcb"),
        SEED("at-vector",
             "\x01\4\0\0\0\xf0\xff\xff\0\0\0\0\xf4\xf4\xf4\xf4\xf4\xf4\xf4\xf4\xf4\xf4\xf4\xf4"),
        SEED("odd", "\x01\1\x05\0\0\xf0\xff\xff\0\0\0\0\xf4\xf4"),
        SEED("large", "\0\x12\0\0\0\0\0\0\0\0\0\0\xeb\xfe"),
    };
    return write_seeds(argc, argv, seed, sizeof(seed) / sizeof(seed[0]));
}
