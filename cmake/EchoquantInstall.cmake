# What is installed, and the Debian package. Manual pages and completions come from the program's own tables.
install(TARGETS echoquant RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY configs models DESTINATION ${CMAKE_INSTALL_DATADIR}/echoquant)
install(FILES README.md CITATION.cff DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

find_program(ECHOQUANT_GZIP gzip)
set(made) # files that the program writes about itself

# echoquant_made(FILE ARGUMENTS...): FILE holds what `echoquant help ARGUMENTS` prints.
function(echoquant_made file)
  add_custom_command(OUTPUT ${file} COMMAND echoquant help ${ARGN} > ${file} DEPENDS echoquant VERBATIM)
  set(made ${made} ${file} PARENT_SCOPE)
endfunction()

# The file, compressed where gzip is there, without the time of day.
function(echoquant_install_gzipped file name destination)
  if(ECHOQUANT_GZIP)
    add_custom_command(OUTPUT ${name}.gz COMMAND ${ECHOQUANT_GZIP} -9n < ${file} > ${name}.gz DEPENDS ${file} VERBATIM)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.gz DESTINATION ${destination})
    set(made ${made} ${name}.gz PARENT_SCOPE)
  else()
    install(FILES ${file} DESTINATION ${destination} RENAME ${name})
  endif()
endfunction()

if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
  message(STATUS "no manual pages and completions: the program cannot run here (CMAKE_CROSSCOMPILING_EMULATOR)")
else()
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/man ${CMAKE_BINARY_DIR}/completions)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS src/main.c)
  file(STRINGS src/main.c commands REGEX "&eq_cmd_")
  string(REGEX MATCHALL "eq_cmd_[a-z_]+" commands "${commands}")
  list(TRANSFORM commands REPLACE "eq_cmd_" "")
  list(TRANSFORM commands REPLACE "_" "-")
  echoquant_made(man/echoquant.1 --man)
  echoquant_made(man/echoquant-settings.7 --man settings)
  foreach(command IN LISTS commands)
    echoquant_made(man/echoquant-${command}.1 --man ${command})
  endforeach()
  foreach(page IN LISTS made)
    get_filename_component(section ${page} LAST_EXT)
    string(SUBSTRING ${section} 1 -1 section)
    echoquant_install_gzipped(${CMAKE_CURRENT_BINARY_DIR}/${page} ${page} ${CMAKE_INSTALL_MANDIR}/man${section})
  endforeach()
  echoquant_made(completions/echoquant.bash --completion bash)
  echoquant_made(completions/echoquant.zsh --completion zsh)
  install(FILES ${CMAKE_BINARY_DIR}/completions/echoquant.bash RENAME echoquant
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  # Debian's zsh reads vendor-completions, a zsh under /usr/local site-functions.
  if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(zsh_folder vendor-completions)
  else()
    set(zsh_folder site-functions)
  endif()
  install(FILES ${CMAKE_BINARY_DIR}/completions/echoquant.zsh RENAME _echoquant
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_folder})
endif()
echoquant_install_gzipped(${CMAKE_SOURCE_DIR}/CHANGELOG.md changelog ${CMAKE_INSTALL_DOCDIR})
add_custom_target(echoquant_made ALL DEPENDS ${made})

# Debian's form of the license, which other systems can read as well.
file(WRITE ${CMAKE_BINARY_DIR}/copyright
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: echoquant

Files: *
Copyright: 2026 the echoquant authors
License: Apache-2.0
 On Debian systems, the full text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
")
install(FILES ${CMAKE_BINARY_DIR}/copyright LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# `ninja -C build package`, or scripts/package.sh deb, which also builds for /usr.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME echoquant)
set(ECHOQUANT_CONTACT "the echoquant authors <echoquant@localhost>" CACHE STRING "Maintainer of the Debian package")
set(CPACK_PACKAGE_CONTACT "${ECHOQUANT_CONTACT}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "train and quantize ejection-fraction models for echocardiograms")
set(CPACK_PACKAGE_DESCRIPTION "echoquant measures what an ejection-fraction model loses and gains from FP32 to
INT8. It trains a ResNet-18 on echocardiogram clips, quantizes it after
training or in training, and reports error, size and latency side by side.
Its INT8 engine gives the same results on every CPU.
.
It is for research only: not a medical device, not for diagnosis or treatment.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS gnuplot-nox)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS ocl-icd-libopencl1) # GPUs by OpenCL (docs/GPU.md)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
include(CPack)
