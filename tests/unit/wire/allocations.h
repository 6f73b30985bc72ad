#pragma once
// Counts what operator new gives in this executable.

#include <cstddef>

namespace torchfleet::wire {

// So far, on all threads.
size_t Allocations();

}  // namespace torchfleet::wire
