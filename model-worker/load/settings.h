#pragma once
// Switches and thread counts among a configuration's parameters. Pure.

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace torchfleet::worker {

// Brings switches to "true" or "false", however Triton lets people write them.
// INVALID_ARGUMENT, naming the parameter, for what is neither, and for a number
// of threads that is none.
absl::Status ReadSettings(std::map<std::string, std::string>& parameters);

// The parameters in capitals that nothing here heeds: other servers' settings, and
// slips of the pen.
std::vector<std::string> Unheeded(const std::map<std::string, std::string>& parameters);

}  // namespace torchfleet::worker
