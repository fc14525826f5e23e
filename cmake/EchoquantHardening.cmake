# What compiler and linker can do against faults in the reading of foreign files: docs/SECURITY.md. Each flag is used
# where the compiler has it. style.elf (scripts/check_elf.sh) looks at the built binary.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckLinkerFlag)

# Sanitizers check more than these flags do, and FORTIFY_SOURCE hides calls from them.
if(NOT ECHOQUANT_HARDEN OR ECHOQUANT_SANITIZE OR ECHOQUANT_FUZZ)
  return()
endif()

# echoquant_harden(FLAG): compiles C and C++ with it. check_c_compiler_flag does not look at warnings, such as that of a
# flag that the target lacks.
function(echoquant_harden flag)
  string(MAKE_C_IDENTIFIER "ECHOQUANT_HAS${flag}" id)
  set(CMAKE_REQUIRED_FLAGS -Werror)
  check_c_compiler_flag(${flag} ${id})
  if(${id})
    target_compile_options(echoquant_hardening INTERFACE ${flag})
  endif()
endfunction()

add_library(echoquant_hardening INTERFACE)
target_link_libraries(echoquant_flags INTERFACE echoquant_hardening)
echoquant_harden(-fPIE)
echoquant_harden(-fstack-protector-strong)
echoquant_harden(-fstack-clash-protection)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  echoquant_harden(-fcf-protection=full)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  echoquant_harden(-mbranch-protection=standard)
endif()

# FORTIFY_SOURCE needs an optimizing build. Level 3 also sees sizes that are known at run time only; compilers or a glibc
# without it have level 2. A distribution's compiler may define it by itself, at another level.
set(CMAKE_REQUIRED_FLAGS "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
check_c_source_compiles("#include <string.h>\n#if __USE_FORTIFY_LEVEL != 3\n#error\n#endif\nint main(void) { return 0; }"
                        ECHOQUANT_HAS_FORTIFY_3)
unset(CMAKE_REQUIRED_FLAGS)
set(fortify $<IF:$<BOOL:${ECHOQUANT_HAS_FORTIFY_3}>,3,2>)
target_compile_options(echoquant_hardening INTERFACE
  $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=${fortify}>)

foreach(flag -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,text)
  string(MAKE_C_IDENTIFIER "ECHOQUANT_LINKS${flag}" id)
  check_linker_flag(C ${flag} ${id})
  if(${id} AND flag STREQUAL "-pie") # GCC 16 takes it together with -shared for a program
    target_link_options(echoquant_hardening INTERFACE $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie>)
  elseif(${id})
    target_link_options(echoquant_hardening INTERFACE ${flag})
  endif()
endforeach()
