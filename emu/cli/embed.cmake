# Write a file's bytes as a C array:  cmake -DIN=file -DOUT=file.c -P embed.cmake
# IN may be empty: then the array is, too.
set(bytes "0")
set(size 0)
if(IN)
    file(READ ${IN} hex HEX)
    string(LENGTH "${hex}" digits)
    math(EXPR size "${digits} / 2")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
           "\\1\n" bytes "${bytes}")
endif()
file(WRITE ${OUT} "/* Made by emu/cli/embed.cmake. */
#include \"emu/cli/session.h\"

static const unsigned char demo[] = {
${bytes}};

struct pacifica_bytes cli_demo(void)
{
    return (struct pacifica_bytes){.data = demo, .size = ${size}};
}
")
