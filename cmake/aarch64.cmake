# Toolchain file: Linux on 64-bit ARM from another machine. The compiler is Debian's cross compiler; headers and libraries
# are those of the folder ECHOQUANT_SYSROOT, which scripts/test_aarch64.sh fills; programs run in qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ECHOQUANT_SYSROOT)
set(CMAKE_SYSROOT ${ECHOQUANT_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER) # programs are this machine's
find_program(ECHOQUANT_QEMU qemu-aarch64 REQUIRED) # with its path: some tests empty PATH
set(CMAKE_CROSSCOMPILING_EMULATOR ${ECHOQUANT_QEMU};-L;${ECHOQUANT_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${ECHOQUANT_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${ECHOQUANT_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${ECHOQUANT_SYSROOT}/usr/share/pkgconfig)
