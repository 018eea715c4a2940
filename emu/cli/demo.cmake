# Build the demonstration hypervisor into the program. To be included by the root after test-roms, which says whether
# there is a compiler for x86-64; without one the program says that it has no demonstration.
set(demo_c ${CMAKE_CURRENT_BINARY_DIR}/demo_image.c)
set(demo_elf)
if(TARGET rom-demo)
    set(demo_elf ${CMAKE_BINARY_DIR}/test-roms/demo.elf)
endif()
add_custom_command(
    OUTPUT ${demo_c}
    COMMAND ${CMAKE_COMMAND} -DIN=${demo_elf} -DOUT=${demo_c} -DHEADER=emu/cli/session.h -DNAME=cli_demo
            -P ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
    DEPENDS ${demo_elf} ${CMAKE_CURRENT_LIST_DIR}/embed.cmake
    COMMENT "Embedding the demonstration hypervisor"
    VERBATIM)
target_sources(pacifica PRIVATE ${demo_c})
if(TARGET rom-demo)
    add_dependencies(pacifica rom-demo)
endif()
