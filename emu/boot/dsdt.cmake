# Compile the DSDT and build it in.
find_program(IASL iasl)
if(NOT IASL)
    message(FATAL_ERROR "iasl compiles the ACPI tables and is not there: Debian's package is acpica-tools")
endif()
set(dsdt ${CMAKE_CURRENT_BINARY_DIR}/dsdt)
add_custom_command(
    OUTPUT ${dsdt}.c
    COMMAND ${CMAKE_C_COMPILER} -E -P -undef -nostdinc -x c ${CMAKE_CURRENT_LIST_DIR}/dsdt.asl -o ${dsdt}.i.asl
    COMMAND ${CMAKE_COMMAND} -DIASL=${IASL} -DIN=${dsdt}.i.asl -DOUT=${dsdt} -P ${CMAKE_CURRENT_LIST_DIR}/iasl.cmake
    COMMAND ${CMAKE_COMMAND} -DIN=${dsdt}.aml -DOUT=${dsdt}.c -DHEADER=emu/boot/acpi_priv.h -DNAME=acpi_dsdt
            -P ${CMAKE_CURRENT_SOURCE_DIR}/emu/cli/embed.cmake
    DEPENDS ${CMAKE_CURRENT_LIST_DIR}/dsdt.asl ${CMAKE_CURRENT_LIST_DIR}/iasl.cmake
            ${CMAKE_CURRENT_SOURCE_DIR}/emu/cli/embed.cmake
    COMMENT "Compiling the DSDT"
    VERBATIM)
target_sources(floor_boot PRIVATE ${dsdt}.c)
