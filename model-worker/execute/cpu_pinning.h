#pragma once
// Which CPUs a thread runs on.

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace torchfleet::worker {

// Reads a list such as "0-3,8": CPUs in ascending order. INVALID_ARGUMENT for
// what is no such list.
absl::StatusOr<std::vector<int>> ParseCpus(const std::string& text);

// Binds this thread to the part of `cpus` that falls to one of `instances`; where
// there are fewer CPUs than instances, several have the same. Nothing for none.
// Logs a warning where the system refuses.
void PinToCpus(const std::vector<int>& cpus, int instance, int instances);

// CPUs that this process may use: those it is bound to, and no more than its
// control group's quota gives it, rounded up; at least 1.
int UsableCpus();

}  // namespace torchfleet::worker
