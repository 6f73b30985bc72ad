# Language level, warnings, sanitizers and the compiler cache.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_RUNTIME_OUTPUT_DIRECTORY)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endif()

# CCACHE_BASEDIR makes paths relative, so that one cache serves every clone.
find_program(CCACHE ccache)
if(CCACHE)
  foreach(language C CXX)
    set(CMAKE_${language}_COMPILER_LAUNCHER
        ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
  endforeach()
endif()

# Line tables are enough for stack traces and keep objects small.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")

if(TORCHFLEET_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(TORCHFLEET_SANITIZE STREQUAL "thread")
  # gcc's tsan knows no atomic_thread_fence and says so for every use in headers.
  # Without its macro: headers of Protocol Buffers would lay messages out in
  # another way than the library, which is built without it.
  add_compile_options(-fsanitize=thread -U__SANITIZE_THREAD__ -fno-omit-frame-pointer
                      -Wno-error=tsan -Wno-error=maybe-uninitialized)
  add_link_options(-fsanitize=thread)
elseif(TORCHFLEET_SANITIZE)
  message(FATAL_ERROR "TORCHFLEET_SANITIZE is '${TORCHFLEET_SANITIZE}'; expected address, thread or nothing")
endif()

# Coverage for libFuzzer everywhere; only the fuzz targets link its main.
if(TORCHFLEET_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "TORCHFLEET_FUZZ needs clang, got ${CMAKE_CXX_COMPILER_ID}: "
                        "use the preset fuzz")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

set(TORCHFLEET_WARNINGS -Wall -Wextra -Wpedantic -Werror)
