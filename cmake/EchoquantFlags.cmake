# Compiler flags shared by every target, and the ISA flags of single kernel files.
add_library(echoquant_flags INTERFACE)
target_compile_definitions(echoquant_flags INTERFACE _GNU_SOURCE)
target_compile_options(echoquant_flags INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wwrite-strings -Wvla
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
  # Contraction would make a result depend on the compiler: fma() is written where it is meant.
  -ffp-contract=off -fno-math-errno -fno-trapping-math)
# GCC's manual advises against -Werror beside its sanitizers, whose code makes it warn of what is not so.
if(ECHOQUANT_WERROR AND NOT (ECHOQUANT_SANITIZE AND CMAKE_C_COMPILER_ID STREQUAL "GNU"))
  target_compile_options(echoquant_flags INTERFACE -Werror)
endif()
if(ECHOQUANT_SANITIZE)
  # Without no-recover an undefined operation is only printed, and the test that met it passes.
  target_compile_options(echoquant_flags INTERFACE -fsanitize=${ECHOQUANT_SANITIZE} -fno-sanitize-recover=all
                                                   -fno-omit-frame-pointer)
  target_link_options(echoquant_flags INTERFACE -fsanitize=${ECHOQUANT_SANITIZE})
  target_compile_definitions(echoquant_flags INTERFACE ECHOQUANT_SANITIZED=1)
endif()
if(ECHOQUANT_COVERAGE)
  target_compile_options(echoquant_flags INTERFACE --coverage)
  target_link_options(echoquant_flags INTERFACE --coverage)
endif()
if(ECHOQUANT_FUZZ)
  target_compile_options(echoquant_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# echoquant_name_flags(SOURCE): defines ECHOQUANT_FLAGS for it, a text of the flags that C files without an ISA level are
# compiled with. Warnings are left out: they change nothing in the program.
function(echoquant_name_flags source)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  string(REPLACE " " ";" flags "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${type}}")
  foreach(target echoquant_flags echoquant_hardening)
    if(TARGET ${target})
      get_target_property(options ${target} INTERFACE_COMPILE_OPTIONS)
      list(APPEND flags ${options})
    endif()
  endforeach()
  list(FILTER flags EXCLUDE REGEX "^$|^-W|[$]<|-NOTFOUND$|prefix-map=")
  list(JOIN flags " " flags)
  set_source_files_properties(${source} PROPERTIES COMPILE_DEFINITIONS "ECHOQUANT_FLAGS=\"${flags}\"")
endfunction()

# A kernel file names its ISA level after the last underscore: u8s8_direct_amx.c. In a fuzzing build these files have no
# sanitizers: clang needs a minute of CPU for some of them, and no parser is there. Their own tests hold them to ref/.
function(echoquant_isa_flags)
  set(avx2 -mavx2 -mfma -mf16c)
  set(avxvnni ${avx2} -mavxvnni)
  set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl)
  set(avx512vnni ${avx512} -mavx512vnni)
  set(avx512bf16 ${avx512} -mavx512bf16)
  set(amx ${avx512vnni} -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16)
  set(neon "")
  set(neondot -march=armv8.2-a+dotprod)
  set(sanitize)
  if(ECHOQUANT_SANITIZE MATCHES "address" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # GCC's stack that outlives a function (detect_stack_use_after_return) aligns 64-byte vectors to less than 64 bytes,
    # which faults.
    set(sanitize --param=asan-use-after-return=0)
  endif()
  foreach(source IN LISTS ARGN)
    get_filename_component(stem ${source} NAME_WE)
    string(REGEX REPLACE ".*_" "" isa ${stem})
    if(DEFINED ${isa})
      set(options ${${isa}} ${sanitize})
      if(ECHOQUANT_FUZZ)
        list(APPEND options -fno-sanitize=all)
      endif()
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${options}")
    else()
      message(FATAL_ERROR "${source}: the file name must end in a known ISA level, e.g. _avx2.c")
    endif()
  endforeach()
endfunction()
