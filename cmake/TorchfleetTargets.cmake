# torchfleet_library(NAME [TORCH] SOURCES … [DEPS …])
# torchfleet_binary(NAME [TORCH] SOURCES … [DEPS …])
# torchfleet_unit_test(NAME SOURCES … [DEPS …])
# torchfleet_fuzz_target(NAME SOURCES … CORPUS DIR [DEPS …])
#
# Our own code: warnings are errors, includes start at the root.
# TORCH makes LibTorch a private dependency: the library's headers name no
# torch type, so that nothing which includes them sees torch's own protobuf.

function(torchfleet_own target)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  target_compile_options(${target} PRIVATE ${TORCHFLEET_WARNINGS})
endfunction()

function(torchfleet_torch target)
  target_include_directories(${target} SYSTEM PRIVATE ${TORCH_INCLUDE_DIRS})
  separate_arguments(torch_flags NATIVE_COMMAND "${TORCH_CXX_FLAGS}")
  target_compile_options(${target} PRIVATE ${torch_flags})
  # torch also brings headers of an fmt newer than the library's.
  target_compile_definitions(${target} PRIVATE FMT_HEADER_ONLY)
  target_link_libraries(${target} PRIVATE ${TORCH_LIBRARIES})
endfunction()

function(torchfleet_library name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  torchfleet_own(${name})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
  if(ARG_TORCH)
    torchfleet_torch(${name})
  endif()
endfunction()

function(torchfleet_binary name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  torchfleet_own(${name})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  if(ARG_TORCH)
    torchfleet_torch(${name})
  endif()
endfunction()

# One executable with every test case of NAME; ctest lists it as one test.
function(torchfleet_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  torchfleet_own(${name})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} Catch2::Catch2WithMain)
  add_test(NAME ${name} COMMAND ${name} --colour-mode none)
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# A libFuzzer executable; ctest gives it a short run that starts at the corpus.
# What it finds is kept in the build folder, the corpus stays as it is.
function(torchfleet_fuzz_target name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  torchfleet_binary(${name} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set(found ${CMAKE_CURRENT_BINARY_DIR}/${name}_found)
  file(MAKE_DIRECTORY ${found})
  add_test(NAME ${name} COMMAND ${name} -max_total_time=20 -seed=1
                                -artifact_prefix=${found}/ ${found} ${ARG_CORPUS})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()
