"""Tiny Multiboot 1 images in machine code, for tests that must not depend on a compiler for x86-64."""
import struct

LOAD = 0x100000
MULTIBOOT_MAGIC = 0x1BADB002
AOUT_KLUDGE = 1 << 16
DEBUG_EXIT = 0xf4
COM1 = 0x3f8


def multiboot(code):
    """An image with `code` (32-bit, at LOAD + 32) behind the header."""
    header = struct.pack("<III", MULTIBOOT_MAGIC, AOUT_KLUDGE,
                         -(MULTIBOOT_MAGIC + AOUT_KLUDGE) & 0xffffffff)
    header += struct.pack("<IIIII", LOAD, LOAD, 0, 0, LOAD + 32)
    return header + code


def out8(port, value):
    """mov dx, port; mov al, value; out dx, al"""
    return b"\x66\xba" + struct.pack("<H", port) + bytes([0xb0, value, 0xee])


def exit_with(value):
    return out8(DEBUG_EXIT, value) + b"\xf4"


def print_string():
    """Print the string at ESI on COM1: mov dx, 3f8; 1: lodsb; test al, al; jz 2; out dx, al; jmp 1; 2:"""
    return b"\x66\xba\xf8\x03\xac\x84\xc0\x74\x03\xee\xeb\xf8"


def print_cmdline():
    """mov esi, [ebx + 16] and print it."""
    return b"\x8b\x73\x10" + print_string()


def print_modules():
    """For each module print its string and a line feed: mov ecx, [ebx + 20]; mov edi, [ebx + 24];
    1: jecxz 2; mov esi, [edi + 8]; print; mov al, 10; out dx, al; add edi, 16; dec ecx; jmp 1; 2:"""
    body = b"\x8b\x77\x08" + print_string() + b"\xb0\x0a\xee\x83\xc7\x10\x49"
    loop = b"\xe3" + bytes([len(body) + 2]) + body + b"\xeb" + bytes([-(len(body) + 4) & 0xff])
    return b"\x8b\x4b\x14\x8b\x7b\x18" + loop


# Waits for a byte on COM1 by polling LSR, sends it back plus one, 4 times; then ends with 0.
ECHO = (b"\xb9\x04\x00\x00\x00"          # mov ecx, 4
        b"\x66\xba\xfd\x03\xec\xa8\x01"  # 1: mov dx, 3fd; in al, dx; test al, 1
        b"\x74\xf7"                      # jz 1
        b"\x66\xba\xf8\x03\xec\xfe\xc0"  # mov dx, 3f8; in al, dx; inc al
        b"\xee\x49\x75\xec"              # out dx, al; dec ecx; jnz 1
        + exit_with(0))

HALT = b"\xfa\xf4\xeb\xfc"                   # cli; 1: hlt; jmp 1 - 1
SPIN = b"\xeb\xfe"
TRIPLE_FAULT = (b"\x0f\x01\x1d" + struct.pack("<I", LOAD + 32 + 9)  # lidt [limit 0]
                + b"\x0f\x0b" + b"\0" * 6)                          # ud2
RESET = out8(0xcf9, 6) + HALT
# In 32-bit mode with paging off: an image of 4 bytes at 128 KiB that starts behind itself, and SKINIT.
SECURE_LOADER = (b"\xc7\x05\x00\x00\x02\x00\x04\x00\x04\x00"  # mov dword [20000h], 40004h
                 b"\xc6\x05\x04\x00\x02\x00\xf4"             # mov byte [20004h], hlt
                 b"\xb8\x00\x00\x02\x00\x0f\x01\xde")         # mov eax, 20000h; skinit


def wait_for_key():
    """Halt until the UART interrupts (IRQ 4, vector 0ch), then send the byte back plus one and end with 0."""
    return halting(out8(0x21, 0xef) + out8(COM1 + 1, 1), 0xc,   # let IRQ 4 through; IER = receive
                   b"\x66\xba\xf8\x03\xec\xfe\xc0\xee" + exit_with(0))  # mov dx, 3f8; in; inc; out


def ticks(count):
    """Halt until the PIT has interrupted so often (IRQ 0, vector 8, every 10 ms), then end with 0."""
    program = out8(0x43, 0x34) + out8(0x40, 11932 & 0xff) + out8(0x40, 11932 >> 8)
    start = b"\xb9" + struct.pack("<I", count)                  # mov ecx, count
    again = out8(0x20, 0x20) + b"\xcf"                          # EOI; iret
    return halting(start + program + out8(0x21, 0xfe), 8,
                   b"\x49\x74" + bytes([len(again)]) + again + exit_with(0))  # dec ecx; jz exit


def halting(start, vector, handler_code):
    """`start` with interrupts off, then halt for ever; a gate at the vector leads to the handler."""
    gdt, idt, handler = LOAD + 0x100, LOAD + 0x200, LOAD + 0x180
    code = (b"\x0f\x01\x15" + struct.pack("<I", LOAD + 0xf0)   # lgdt
            + b"\x0f\x01\x1d" + struct.pack("<I", LOAD + 0xf8) # lidt
            + b"\xbc" + struct.pack("<I", 0x300000)            # mov esp
            + start + b"\xfb\xf4\xeb\xfd")                             # sti; 1: hlt; jmp 1
    image = bytearray(multiboot(code).ljust(0x300, b"\0"))
    image[0xf0:0xf6] = struct.pack("<HI", 15, gdt)
    image[0xf8:0xfe] = struct.pack("<HI", 0x7f, idt)
    image[0x108:0x110] = bytes.fromhex("ffff0000009bcf00")     # flat code segment, selector 8
    image[0x200 + 8 * vector:0x208 + 8 * vector] = struct.pack("<HHHH", handler & 0xffff, 8, 0x8e00, handler >> 16)
    image[0x180:0x180 + len(handler_code)] = handler_code
    return bytes(image)
