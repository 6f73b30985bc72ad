#pragma once
// How a model's requests wait. Plain values.

#include <cstddef>
#include <vector>

#include "absl/time/time.h"

namespace torchfleet::worker {

// How the requests of one priority wait.
struct LevelRules {
  enum class Overdue { kReject, kDelay };
  Overdue overdue = Overdue::kReject;
  // How long a request may wait.
  absl::Duration timeout = absl::InfiniteDuration();
  // A request may say another one.
  bool own_timeouts = false;
  // How many may wait; 0: as many as the line takes.
  size_t most = 0;
};

struct LineRules {
  // By priority, the highest first; at least one.
  std::vector<LevelRules> levels = {{}};
  // Of a request that names none.
  size_t default_level = 0;
  // Whether requests may name one.
  bool priorities = false;
  // How many may wait in all levels.
  size_t most = 1024;
  // Strictly as they came, callers' shares notwithstanding.
  bool in_order = false;
};

}  // namespace torchfleet::worker
