# Every library from outside. What is missing is named with the command that
# brings it.

set(TORCHFLEET_SETUP_HINT "run deploy/setup.sh, which installs everything the build needs")

macro(torchfleet_find package)
  find_package(${package} ${ARGN} QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${package} was not found: ${TORCHFLEET_SETUP_HINT}")
  endif()
endmacro()

set(THREADS_PREFER_PTHREAD_FLAG ON)
torchfleet_find(Threads)
torchfleet_find(ZLIB)
torchfleet_find(PNG)
torchfleet_find(OpenSSL)
# Before Torch: its CMake files otherwise leave a hollow protobuf::libprotobuf.
torchfleet_find(Protobuf)
torchfleet_find(absl CONFIG)
torchfleet_find(gRPC CONFIG)
torchfleet_find(fmt CONFIG)
torchfleet_find(spdlog CONFIG)
torchfleet_find(prometheus-cpp CONFIG)
torchfleet_find(nlohmann_json CONFIG)
torchfleet_find(simdjson CONFIG)
torchfleet_find(CLI11 CONFIG)
if(TORCHFLEET_BUILD_TESTS)
  torchfleet_find(Catch2 3 CONFIG)
endif()

if(TORCHFLEET_WITH_TORCH)
  # LIBTORCH in the environment wins; setup.sh leaves its choice in the file.
  set(TORCHFLEET_LIBTORCH_FILE ${CMAKE_SOURCE_DIR}/build/libtorch.path)
  if(DEFINED ENV{LIBTORCH} AND NOT "$ENV{LIBTORCH}" STREQUAL "")
    set(TORCHFLEET_LIBTORCH "$ENV{LIBTORCH}")
  elseif(EXISTS ${TORCHFLEET_LIBTORCH_FILE})
    file(STRINGS ${TORCHFLEET_LIBTORCH_FILE} TORCHFLEET_LIBTORCH LIMIT_COUNT 1)
  endif()
  if(TORCHFLEET_LIBTORCH)
    list(PREPEND CMAKE_PREFIX_PATH ${TORCHFLEET_LIBTORCH})
  endif()
  find_package(Torch QUIET)
  if(NOT Torch_FOUND)
    message(FATAL_ERROR "LibTorch was not found: ${TORCHFLEET_SETUP_HINT}, or name yours: "
                        "LIBTORCH=<folder> make")
  endif()
  message(STATUS "LibTorch ${Torch_VERSION} from ${TORCH_INSTALL_PREFIX}")
endif()
