# roms.cmake: how a bare-metal program is built. The target machine is always x86-64, whatever the
# workstation is, so this does not use CMake's own compiler but plain commands.
#
# Gives:  target `roms`
#         pacifica_add_rom(<group> <name> SOURCES file... [OBJECTS file...] [FLAGS flag...] [NO_TEST])
#         global property PACIFICA_ROMS: list of "<group>/<name>" that tests/ registers
#
# A ROM becomes ${CMAKE_BINARY_DIR}/test-roms/<group>/<name>.elf; the group "." puts it directly into
# test-roms/. The result expected from it is <source folder>/<name>.expect (format: README.md).

find_program(PACIFICA_ROM_CC NAMES x86_64-linux-gnu-gcc x86_64-linux-gnu-gcc-14
             x86_64-linux-gnu-gcc-13 x86_64-linux-gnu-gcc-12
             DOC "C compiler for the bare-metal programs (gcc for x86-64)")
find_program(PACIFICA_ROM_LD NAMES x86_64-linux-gnu-ld DOC "Linker for the bare-metal programs")
find_program(PACIFICA_ROM_OBJCOPY NAMES x86_64-linux-gnu-objcopy
             DOC "objcopy for the bare-metal programs")
if(CMAKE_HOST_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
    find_program(PACIFICA_ROM_CC NAMES gcc)
    find_program(PACIFICA_ROM_LD NAMES ld)
    find_program(PACIFICA_ROM_OBJCOPY NAMES objcopy)
endif()

if(NOT TARGET roms)
    add_custom_target(roms ALL)
endif()

set(PACIFICA_ROM_ROOT ${CMAKE_CURRENT_LIST_DIR})
get_filename_component(PACIFICA_ROM_INCLUDE ${PACIFICA_ROM_ROOT} DIRECTORY)
set(PACIFICA_ROM_OUT ${CMAKE_BINARY_DIR}/test-roms)
set(PACIFICA_ROM_CFLAGS
    -std=c17 -O2 -g0 -Wall -Wextra -Werror
    -ffreestanding -nostdlib -fno-builtin -fno-stack-protector -fno-asynchronous-unwind-tables
    -fno-tree-loop-distribute-patterns -fno-strict-aliasing
    --param=min-pagesize=0 -m64 -mno-red-zone -mgeneral-regs-only -fno-pic -no-pie -fcf-protection=none
    -I${PACIFICA_ROM_INCLUDE})
set(PACIFICA_ROM_LIB_SOURCES
    boot.S trap_stubs.S svm_run.S modes_asm.S smp_start.S
    rom.c serial.c tap.c trap.c apic.c paging.c svm.c modes.c smp.c)

# `pacifica test` wants what is expected of a ROM beside it. A file that is new makes CMake run again.
file(GLOB_RECURSE PACIFICA_ROM_EXPECTATIONS CONFIGURE_DEPENDS ${PACIFICA_ROM_ROOT}/*.expect)
function(pacifica_rom_expect source id)
    if(EXISTS ${source})
        configure_file(${source} ${PACIFICA_ROM_OUT}/${id}.expect COPYONLY)
    endif()
endfunction()

# One object file.
function(pacifica_rom_object source object)
    get_filename_component(folder ${object} DIRECTORY)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(
        OUTPUT ${object}
        COMMAND ${PACIFICA_ROM_CC} ${PACIFICA_ROM_CFLAGS} ${ARGN}
                -MMD -MF ${object}.d -MT ${object} -c ${source} -o ${object}
        DEPENDS ${source}
        DEPFILE ${object}.d
        COMMENT "ROM object ${object}"
        VERBATIM)
endfunction()

if(NOT PACIFICA_ROM_CC OR NOT PACIFICA_ROM_LD OR NOT PACIFICA_ROM_OBJCOPY)
    message(STATUS "No gcc and binutils for x86-64: the test ROMs are not built")
    set(PACIFICA_ROM_CC "" CACHE STRING "" FORCE)
elseif(NOT TARGET roms-lib)
    set(objects)
    foreach(source IN LISTS PACIFICA_ROM_LIB_SOURCES)
        set(object ${PACIFICA_ROM_OUT}/obj/lib/${source}.o)
        pacifica_rom_object(${PACIFICA_ROM_ROOT}/lib/${source} ${object})
        list(APPEND objects ${object})
    endforeach()
    add_custom_target(roms-lib DEPENDS ${objects})
    set_property(GLOBAL PROPERTY PACIFICA_ROM_LIB_OBJECTS ${objects})
endif()

# pacifica_add_rom(<group> <name> SOURCES file... [OBJECTS file...] [FLAGS flag...] [NO_TEST])
# Sources are relative to the calling folder; objects are linked as they are. NO_TEST keeps it out of PACIFICA_ROMS.
function(pacifica_add_rom group name)
    cmake_parse_arguments(ROM "NO_TEST" "" "SOURCES;OBJECTS;FLAGS" ${ARGN})
    if(NOT PACIFICA_ROM_CC)
        return()
    endif()
    get_property(lib GLOBAL PROPERTY PACIFICA_ROM_LIB_OBJECTS)
    get_filename_component(id ${group}/${name} ABSOLUTE BASE_DIR /)
    string(SUBSTRING ${id} 1 -1 id)
    set(elf ${PACIFICA_ROM_OUT}/${id}.elf)
    set(script ${PACIFICA_ROM_ROOT}/lib/link.ld)
    set(objects ${ROM_OBJECTS})
    foreach(source IN LISTS ROM_SOURCES)
        get_filename_component(path ${source} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
        get_filename_component(base ${source} NAME)
        set(object ${PACIFICA_ROM_OUT}/obj/${id}/${base}.o)
        pacifica_rom_object(${path} ${object} ${ROM_FLAGS})
        list(APPEND objects ${object})
    endforeach()
    get_filename_component(folder ${elf} DIRECTORY)
    file(MAKE_DIRECTORY ${folder})
    # QEMU's Multiboot loader takes only 32-bit ELF files.
    add_custom_command(
        OUTPUT ${elf}
        COMMAND ${PACIFICA_ROM_LD} -m elf_x86_64 -static -nostdlib -z max-page-size=4096
                --no-warn-rwx-segments -T ${script} -o ${elf}.64 ${objects} ${lib}
        COMMAND ${PACIFICA_ROM_OBJCOPY} -O elf32-i386 ${elf}.64 ${elf}
        DEPENDS ${objects} ${lib} ${script} roms-lib
        COMMENT "ROM ${id}.elf"
        VERBATIM)
    pacifica_rom_expect(${PACIFICA_ROM_ROOT}/${id}.expect ${id})
    string(REPLACE "/" "-" target rom-${id})
    add_custom_target(${target} DEPENDS ${elf})
    add_dependencies(${target} roms-lib)
    add_dependencies(roms ${target})
    if(NOT ROM_NO_TEST)
        set_property(GLOBAL APPEND PROPERTY PACIFICA_ROMS ${id})
    endif()
endfunction()

# pacifica_add_bios(<group> <name> SOURCE file.S): a flat ROM of one assembler file with all addresses
# its own, linked for the 64 KiB below 1 MiB: ${CMAKE_BINARY_DIR}/test-roms/<group>/<name>.bin, in the
# global property PACIFICA_BIOS_ROMS as "<group>/<name>".
function(pacifica_add_bios group name)
    cmake_parse_arguments(ROM "" "SOURCE" "" ${ARGN})
    if(NOT PACIFICA_ROM_CC)
        return()
    endif()
    set(out ${PACIFICA_ROM_OUT}/${group}/${name})
    set(object ${PACIFICA_ROM_OUT}/obj/${group}/${name}/${ROM_SOURCE}.o)
    pacifica_rom_object(${CMAKE_CURRENT_SOURCE_DIR}/${ROM_SOURCE} ${object})
    file(MAKE_DIRECTORY ${PACIFICA_ROM_OUT}/${group})
    add_custom_command(
        OUTPUT ${out}.bin
        COMMAND ${PACIFICA_ROM_LD} -m elf_x86_64 -static -nostdlib --no-warn-rwx-segments
                -Ttext=0xf0000 -e 0xffff0 -o ${out}.elf64 ${object}
        COMMAND ${PACIFICA_ROM_OBJCOPY} -O binary -j .text ${out}.elf64 ${out}.bin
        DEPENDS ${object}
        COMMENT "ROM ${group}/${name}.bin"
        VERBATIM)
    pacifica_rom_expect(${PACIFICA_ROM_ROOT}/${group}/${name}.expect ${group}/${name})
    add_custom_target(rom-${group}-${name} DEPENDS ${out}.bin)
    add_dependencies(roms rom-${group}-${name})
    set_property(GLOBAL APPEND PROPERTY PACIFICA_BIOS_ROMS ${group}/${name})
endfunction()
