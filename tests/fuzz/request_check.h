#pragma once
// Reads one input as a worker reads a request, for models that it may fit, and
// says what is not as it should be: a request that was checked and does not fit
// its model, an error that is not the caller's, typed tensors that are others
// when they come raw.

#include <string>
#include <string_view>

namespace torchfleet::worker {

// Empty when all is well.
std::string RequestFault(std::string_view message);

}  // namespace torchfleet::worker
