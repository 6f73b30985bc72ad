#pragma once
// What `torchfleet` exits with.

#include "absl/status/status.h"

namespace torchfleet::cli {

inline constexpr int kOk = 0;
// The call failed, or something is not ready.
inline constexpr int kFailed = 1;
// The command line is wrong.
inline constexpr int kUsage = 2;
// Nobody answers at the address.
inline constexpr int kUnreachable = 3;

// Prints `torchfleet: …` to standard error; the exit code for it.
int Fail(const absl::Status& status);

// Standard output is a terminal that wants colour (NO_COLOR is not set).
bool WantsColour(int fd);

}  // namespace torchfleet::cli
