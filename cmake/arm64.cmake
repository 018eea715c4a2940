# Cross-building for an ARM64 workstation on Debian (multiarch), tests run by qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

# Debian keeps the libraries of a foreign architecture in /usr/lib/<triplet>, beside the native ones.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_IGNORE_PATH /usr/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu/cmake)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_PATH} "")

find_program(PACIFICA_QEMU_AARCH64 NAMES qemu-aarch64-static qemu-aarch64)
if(PACIFICA_QEMU_AARCH64)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${PACIFICA_QEMU_AARCH64})
endif()
