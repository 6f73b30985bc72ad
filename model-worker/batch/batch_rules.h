#pragma once
// How large a model's batches are, and how long they may take to form. Plain
// values.

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"

namespace torchfleet::worker {

struct BatchRules {
  // Rows; at most 1 where nothing is batched.
  int64_t most = 1;
  // Ascending, none over `most`.
  std::vector<int64_t> preferred = {};
  // Nothing: what pays.
  std::optional<absl::Duration> delay = std::nullopt;
};

}  // namespace torchfleet::worker
