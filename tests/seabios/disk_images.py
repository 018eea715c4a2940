"""Images that a BIOS starts: a disk with a boot sector, a CD with El Torito (version 1.0) without emulation."""

SECTOR = 512
CD_SECTOR = 2048

# At 0000:7C00. Reads a sector and sends its first two bytes to COM1; on a disk writes sector 2 ("WR") and reads it
# again; ends through isa-debug-exit with 10h, or with 20h if the BIOS tells of an error.
CODE = bytes.fromhex(
    "31c0 8ed8 8ec0 8ed0 bc007c"  # xor ax,ax; mov ds,ax; mov es,ax; mov ss,ax; mov sp,7c00
    "be527c e82d00"               # mov si,packet; call read
    "f706517c0100 741a"           # test [writes],1; jz good
    "c70600805752 c6440802"       # mov word [8000],'WR'; mov byte [si+8],2
    "b80043 cd13 720d"            # mov ax,4300; int 13; jc bad
    "c70600802020 e80b00"         # mov word [8000],'  '; call read
    "b010 eb02"                   # good: mov al,10; jmp end
    "b020"                        # bad: mov al,20
    "baf400 ee f4"                # end: mov dx,f4; out dx,al; hlt
    "b442 cd13 72f3 52 baf803"    # read: mov ah,42; int 13; jc bad; push dx; mov dx,3f8
    "a10080 ee 86e0 ee 5a c3")    # mov ax,[8000]; out dx,al; xchg al,ah; out dx,al; pop dx; ret


def boot_code(sector, writes):
    """The code with its parameters: does it write; the packet of INT 13h, AH=42h: one sector to 0000:8000."""
    packet = bytes([16, 0]) + (1).to_bytes(2, "little") + (0x8000).to_bytes(4, "little") + sector.to_bytes(8, "little")
    return CODE + bytes([writes]) + packet


def disk(sectors, tail=b""):
    """A disk whose sector 1 begins with "HD"."""
    image = bytearray(sectors * SECTOR)
    image[:len(boot_code(1, True))] = boot_code(1, True)
    image[510:512] = b"\x55\xaa"
    image[SECTOR:SECTOR + 2] = b"HD"
    return bytes(image) + tail


def both(value, size):
    return value.to_bytes(size, "little") + value.to_bytes(size, "big")


def directory_record(name, sector, size, flags):
    name_bytes = name + (b"" if len(name) % 2 else b"\0")
    record = (bytes([33 + len(name_bytes), 0]) + both(sector, 4) + both(size, 4) + bytes([100, 1, 1, 0, 0, 0, 0]) +
              bytes([flags, 0, 0]) + both(1, 2) + bytes([len(name)]) + name_bytes)
    return record


def cd(contents=b"file on the CD\n"):
    """An ISO 9660 image with one file, FILE.TXT, that starts by El Torito. Its sector 20 begins with "CD"."""
    file_at = 23
    sectors = file_at + (len(contents) + CD_SECTOR - 1) // CD_SECTOR
    image = bytearray(sectors * CD_SECTOR)

    def put(sector, data):
        image[sector * CD_SECTOR:sector * CD_SECTOR + len(data)] = data

    root = directory_record(b"\0", 22, CD_SECTOR, 2)
    volume = bytearray(CD_SECTOR)
    volume[0:7] = b"\1CD001\1"
    volume[8:72] = b" " * 64
    volume[80:88] = both(sectors, 4)
    volume[120:124] = volume[124:128] = both(1, 2)
    volume[128:132] = both(CD_SECTOR, 2)
    volume[132:140] = both(10, 4)  # bytes of the path table
    volume[140:144] = (21).to_bytes(4, "little")
    volume[148:152] = (21).to_bytes(4, "big")
    volume[156:156 + len(root)] = root
    volume[190:813] = b" " * 623
    volume[881] = 1
    put(16, volume)
    put(17, b"\0CD001\1EL TORITO SPECIFICATION".ljust(0x47, b"\0") + (19).to_bytes(4, "little"))
    put(18, b"\xffCD001\1")
    put(19, boot_catalog())
    put(21, b"\1\0" + (22).to_bytes(4, "little") + (1).to_bytes(2, "little") + b"\0\0")
    put(20, b"CD")
    put(22, root + directory_record(b"\1", 22, CD_SECTOR, 2) +
        directory_record(b"FILE.TXT;1", file_at, len(contents), 0))
    put(file_at, contents)
    return bytes(image) + boot_code(20, False).ljust(CD_SECTOR, b"\0"), sectors


def boot_catalog():
    """The validation entry, and the entry of an image of one sector; its place is filled in by bootable_cd()."""
    entry = bytearray(b"\1\0\0\0" + b"\0" * 24 + b"\0\0\x55\xaa")
    words = sum(int.from_bytes(entry[i:i + 2], "little") for i in range(0, 32, 2))
    entry[28:30] = (-words & 0xffff).to_bytes(2, "little")
    return bytes(entry) + bytes([0x88, 0]) + b"\0\0\0\0" + (4).to_bytes(2, "little") + b"\0\0\0\0"


def bootable_cd():
    image, code_at = cd()
    image = bytearray(image)
    place = 19 * CD_SECTOR + 32 + 8
    image[place:place + 4] = code_at.to_bytes(4, "little")
    return bytes(image)
