# Runs that are stopped, and full disks (docs/RELIABILITY.md). Samples run in the suite; the targets `kills` and
# `full-disk` do all of it.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_Interpreter_FOUND)
  set(faults ${CMAKE_CURRENT_LIST_DIR})
  add_test(NAME faults.kills_sample
           COMMAND ${Python3_EXECUTABLE} ${faults}/kills.py $<TARGET_FILE:echoquant> --moments 20)
  add_test(NAME faults.full_disk_sample
           COMMAND ${Python3_EXECUTABLE} ${faults}/full_disk.py $<TARGET_FILE:echoquant> --sample)
  set_tests_properties(faults.kills_sample faults.full_disk_sample
                       PROPERTIES LABELS faults PROCESSORS 2 TIMEOUT 900 SKIP_RETURN_CODE 77)
  add_custom_target(kills ${Python3_EXECUTABLE} ${faults}/kills.py $<TARGET_FILE:echoquant> --moments 200
                    DEPENDS echoquant USES_TERMINAL)
  add_custom_target(full-disk ${Python3_EXECUTABLE} ${faults}/full_disk.py $<TARGET_FILE:echoquant>
                    DEPENDS echoquant USES_TERMINAL)
endif()
