# PTX of the kernels' text for NVIDIA's driver, made by clang while building: eq_device_ptx (src/device/api.h). Without
# it NVIDIA GPUs are reached by OpenCL only. As a script (cmake -P) it makes the file from the text.
set(ptx_architectures 75 80)
set(ptx_75 ptx65 EQ_PATH_MMA8)
set(ptx_80 ptx70 EQ_PATH_MMA16)

if(CMAKE_SCRIPT_MODE_FILE) # CLANG, TEXTS (with : between them), OUTPUT (ptx.c)
  string(REPLACE ":" ";" texts "${TEXTS}")
  get_filename_component(folder ${OUTPUT} DIRECTORY)
  set(whole)
  foreach(text IN LISTS texts)
    file(READ ${text} part)
    string(APPEND whole "${part}")
  endforeach()
  file(WRITE ${folder}/kernels.cl "${whole}")
  set(arrays "#include \"device/api.h\"\n")
  set(rows)
  foreach(architecture IN LISTS ptx_architectures)
    list(GET ptx_${architecture} 0 version)
    list(GET ptx_${architecture} 1 path)
    set(ptx ${folder}/sm_${architecture}.ptx)
    execute_process(COMMAND ${CLANG} -x cl -cl-std=CL1.2 -cl-no-stdinc -O3 -ffp-contract=off -Wall -Werror
                            -target nvptx64-nvidia-cuda -Xclang -target-cpu -Xclang sm_${architecture}
                            -Xclang -target-feature -Xclang +${version} -DEQ_PTX -D${path} -S -o ${ptx}
                            ${folder}/kernels.cl
                    RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "${CLANG} makes no PTX of the kernels; -DECHOQUANT_PTX=OFF builds without")
    endif()
    file(READ ${ptx} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "((0x..,){32})" "\\1\n" bytes "${bytes}")
    string(APPEND arrays "\nstatic const char sm_${architecture}[] = {\n${bytes}0};\n")
    string(APPEND rows "{${architecture}, sm_${architecture}}, ")
  endforeach()
  file(WRITE ${OUTPUT} "${arrays}\nconst struct eq_device_ptx eq_device_ptx[] = {${rows}{0, NULL}};\n")
  return()
endif()

find_program(ECHOQUANT_CLANG NAMES clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14)
set(ptx_found OFF)
if(ECHOQUANT_CLANG)
  execute_process(COMMAND ${ECHOQUANT_CLANG} -dumpversion OUTPUT_VARIABLE clang_version
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND ${ECHOQUANT_CLANG} -print-targets OUTPUT_VARIABLE clang_targets ERROR_QUIET)
  if(clang_version VERSION_GREATER_EQUAL 14 AND clang_targets MATCHES "nvptx64")
    set(ptx_found ON)
  endif()
endif()
option(ECHOQUANT_PTX "Put PTX of the kernels for NVIDIA's driver into the program (clang 14 or newer)" ${ptx_found})
set(ptx_file ${CMAKE_BINARY_DIR}/src/device/ptx.c)
if(ECHOQUANT_PTX)
  if(NOT ptx_found)
    message(FATAL_ERROR "ECHOQUANT_PTX: no clang 14 or newer for NVPTX was found. On Debian/Ubuntu: apt-get install clang (or -DECHOQUANT_PTX=OFF)")
  endif()
  string(REPLACE ";" ":" device_texts "${device_kernels}")
  add_custom_command(OUTPUT ${ptx_file}
                     COMMAND ${CMAKE_COMMAND} -D CLANG=${ECHOQUANT_CLANG} -D TEXTS=${device_texts} -D OUTPUT=${ptx_file}
                             -P ${CMAKE_CURRENT_LIST_FILE}
                     DEPENDS ${device_kernels} ${CMAKE_CURRENT_LIST_FILE}
                     COMMENT "PTX of the device's kernels" VERBATIM)
else()
  message(STATUS "NVIDIA GPUs will be reached by OpenCL only (ECHOQUANT_PTX=OFF; it needs clang 14 or newer)")
  file(CONFIGURE OUTPUT ${ptx_file} @ONLY CONTENT
       "#include \"device/api.h\"\n\nconst struct eq_device_ptx eq_device_ptx[] = {{0, NULL}};\n")
endif()
list(APPEND ECHOQUANT_SOURCES ${ptx_file})
