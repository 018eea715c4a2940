# Checks of the tree and of what was built, label "static": no test program, only tools/check-*.
function(pacifica_static_test name)
    add_test(NAME static/${name} COMMAND ${Python3_EXECUTABLE} -B ${ARGN}
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(static/${name} PROPERTIES LABELS static TIMEOUT 120)
endfunction()

find_package(Python3 COMPONENTS Interpreter)
if(NOT Python3_FOUND OR CMAKE_CROSSCOMPILING)
    return()
endif()
set(checks ${PROJECT_SOURCE_DIR}/tools)

pacifica_static_test(floors ${checks}/check-floors ${CMAKE_C_COMPILER})
pacifica_static_test(length ${checks}/check-length)
pacifica_static_test(clones ${checks}/check-clones)
pacifica_static_test(todo ${checks}/check-todo)
pacifica_static_test(rows ${checks}/check-rows)
pacifica_static_test(tables ${checks}/make-tables --check)
pacifica_static_test(checks_can_fail ${PROJECT_SOURCE_DIR}/tests/static/test_checks.py)

# Versions differ in small things, so it is this one or none.
find_program(CLANG_FORMAT clang-format-14)
if(CLANG_FORMAT)
    pacifica_static_test(format ${checks}/check-format ${CLANG_FORMAT})
endif()

if(TARGET pacifica_shared AND NOT PACIFICA_SANITIZE)
    pacifica_static_test(symbols ${checks}/check-symbols $<TARGET_FILE:pacifica_shared> ${PROJECT_BINARY_DIR}/libpacifica.a
                         ${CMAKE_NM})
endif()

# Hot handlers: the objects of emu/insn/hot*.c, from the release builds on x86-64.
file(GLOB hot_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
     ${PROJECT_SOURCE_DIR}/emu/insn/hot*.c)
if(hot_sources AND NOT PACIFICA_TRAMPOLINE AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(hot_objects)
    foreach(source IN LISTS hot_sources)
        list(APPEND hot_objects ${PROJECT_BINARY_DIR}/CMakeFiles/floor_cpu.dir/${source}.o)
    endforeach()
    pacifica_static_test(handlers ${checks}/check-handlers ${hot_objects} --objdump ${CMAKE_OBJDUMP})
endif()
