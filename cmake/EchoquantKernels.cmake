# Kernels that are written once, as templates (src/kernels/*/*_tmpl.h), and compiled for several ISA levels.
#
# echoquant_kernel(<name> LEVELS <isa>... TEMPLATES <header>...) appends a source <name>_<isa>.c for each level to
# kernel_isa. It includes the headers, whose paths are relative to src/kernels/, and nothing else.
function(echoquant_kernel name)
  cmake_parse_arguments(arg "" "" "LEVELS;TEMPLATES" ${ARGN})
  list(TRANSFORM arg_TEMPLATES REPLACE "(.+)" "#include \"kernels/\\1\"\n" OUTPUT_VARIABLE includes)
  string(CONCAT text ${includes})
  foreach(isa IN LISTS arg_LEVELS)
    set(source ${CMAKE_BINARY_DIR}/src/kernels/${name}_${isa}.c)
    file(CONFIGURE OUTPUT ${source} CONTENT "${text}")
    list(APPEND kernel_isa ${source})
  endforeach()
  set(kernel_isa ${kernel_isa} PARENT_SCOPE)
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  file(GLOB kernel_isa CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/kernels/x86/*.c)
  foreach(name f32_bn f32_direct_weights f32_domain f32_elementwise f32_observe f32_pool f32_winograd7_conv
               f32_winograd7_weights image)
    echoquant_kernel(${name} LEVELS avx2 avx512 TEMPLATES x86/${name}_tmpl.h)
  endforeach()
  foreach(name f32_direct f32_peak f32_winograd_conv f32_winograd_weights) # with BF16 operands at avx512bf16
    echoquant_kernel(${name} LEVELS avx2 avx512 avx512bf16 TEMPLATES x86/${name}_tmpl.h)
  endforeach()
  foreach(name u8s8_stem u8s8_winograd)
    echoquant_kernel(${name} LEVELS avx2 avxvnni avx512 avx512vnni TEMPLATES x86/${name}_tmpl.h)
  endforeach()
  echoquant_kernel(u8s8_direct LEVELS avx2 avxvnni avx512 avx512vnni
                   TEMPLATES x86/u8s8_vec.h vector/u8s8_direct_tmpl.h vector/u8s8_peak_tmpl.h)
  echoquant_kernel(u8s8_domain LEVELS avx2 avxvnni avx512 avx512vnni
                   TEMPLATES x86/u8s8_vec.h vector/u8s8_domain_tmpl.h)
  echoquant_kernel(u8s8_pool LEVELS avx2 avx512 TEMPLATES x86/u8s8_vec.h vector/u8s8_pool_tmpl.h)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  file(GLOB kernel_isa CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/kernels/arm/*.c)
endif()
echoquant_isa_flags(${kernel_isa})
