# The text of the device's kernels, as bytes in the binary: eq_device_text (src/device/api.h). The files in the order in
# which they stand in the text.
set(device_kernels)
foreach(name prelude.h step.h fragment.h words.cl tile.cl pooled.cl mma.cl rest.cl)
  list(APPEND device_kernels ${CMAKE_SOURCE_DIR}/src/device/kernels/${name})
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${device_kernels})
set(device_text_hex)
foreach(file IN LISTS device_kernels)
  file(READ ${file} hex HEX)
  string(APPEND device_text_hex ${hex})
endforeach()
string(REGEX REPLACE "(..)" "0x\\1," device_text_bytes "${device_text_hex}")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/src/device/text.c @ONLY CONTENT
     "#include \"device/api.h\"\n\nconst char eq_device_text[] = {@device_text_bytes@0};\n")
list(APPEND ECHOQUANT_SOURCES ${CMAKE_BINARY_DIR}/src/device/text.c)
include(EchoquantPtx)
