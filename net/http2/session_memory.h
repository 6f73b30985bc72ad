#pragma once
// Where nghttp2 takes its memory from: what is freed is given out again, so
// that a connection in use asks the system for nothing. Free memory is the
// thread's; any thread may free what another took.

#include <nghttp2/nghttp2.h>

namespace torchfleet::net {

nghttp2_mem* SessionMemory();

}  // namespace torchfleet::net
