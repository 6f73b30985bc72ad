#pragma once
// Reads one input as a model's archive, and says what is not as it should be: an
// entry that was taken though it lies outside, over another or behind the
// directory, has a name that leads elsewhere, or is not what it was when it is
// written and read again.

#include <string>
#include <string_view>

namespace torchfleet::worker {

// Empty when all is well.
std::string ArchiveFault(std::string_view bytes);

}  // namespace torchfleet::worker
