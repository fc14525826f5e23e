# onnx.pb-c.[ch] from the schema that is installed (some packages call it onnx-ml.proto), into generated/onnx/.
set(onnx_dir ${CMAKE_BINARY_DIR}/generated)
configure_file(${ECHOQUANT_FILE_onnx_proto} ${onnx_dir}/onnx/onnx.proto COPYONLY)
add_custom_command(
  OUTPUT ${onnx_dir}/onnx/onnx.pb-c.c ${onnx_dir}/onnx/onnx.pb-c.h
  COMMAND ${ECHOQUANT_PROGRAM_protoc-c} --proto_path=${onnx_dir} --c_out=${onnx_dir} onnx/onnx.proto
  DEPENDS ${onnx_dir}/onnx/onnx.proto
  VERBATIM)
# events.pb-c.[ch] from the part of TensorBoard's schema that echoquant writes.
add_custom_command(
  OUTPUT ${onnx_dir}/report/events.pb-c.c ${onnx_dir}/report/events.pb-c.h
  COMMAND ${CMAKE_COMMAND} -E make_directory ${onnx_dir}/report
  COMMAND ${ECHOQUANT_PROGRAM_protoc-c} --proto_path=${CMAKE_SOURCE_DIR}/src --c_out=${onnx_dir} report/events.proto
  DEPENDS ${CMAKE_SOURCE_DIR}/src/report/events.proto
  VERBATIM)
# Generated code is not held to our warnings.
add_library(echoquant_onnx OBJECT ${onnx_dir}/onnx/onnx.pb-c.c ${onnx_dir}/onnx/onnx.pb-c.h
                                  ${onnx_dir}/report/events.pb-c.c ${onnx_dir}/report/events.pb-c.h)
target_include_directories(echoquant_onnx PRIVATE ${onnx_dir})
target_link_libraries(echoquant_onnx PRIVATE echoquant_dependencies echoquant_flags)
target_compile_options(echoquant_onnx PRIVATE -w)
