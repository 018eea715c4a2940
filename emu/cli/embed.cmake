# Write a file's bytes as a C function:  cmake -DIN=file -DOUT=file.c -DHEADER=header -DNAME=function -P embed.cmake
# HEADER declares `struct pacifica_bytes function(void)`. IN may be empty: then there are no bytes.
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
#include \"${HEADER}\"

static const unsigned char content[] = {
${bytes}};

struct pacifica_bytes ${NAME}(void)
{
    return (struct pacifica_bytes){.data = content, .size = ${size}};
}
")
