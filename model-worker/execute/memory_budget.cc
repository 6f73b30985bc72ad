#include "model-worker/execute/memory_budget.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

namespace torchfleet::worker {
namespace {

constexpr absl::Duration kBetweenLooks = absl::Milliseconds(100);
// Version 1 has a number for "none", just below 2^63.
constexpr uint64_t kNoGroupLimit = uint64_t{1} << 60;

thread_local uint64_t refusals = 0;

std::optional<uint64_t> Number(const std::filesystem::path& file) {
  std::ifstream stream(file);
  uint64_t number = 0;
  if (!(stream >> number) || number >= kNoGroupLimit) return std::nullopt;
  return number;
}

// Of the group at `path` under `folder` and of those above it. In a container
// the path may be the host's, and its own group is at the top.
std::optional<uint64_t> LeastLimit(const std::filesystem::path& folder, std::filesystem::path path,
                                   const char* name) {
  std::optional<uint64_t> least;
  while (true) {
    if (const auto limit = Number(folder / path / name)) {
      least = std::min(*limit, least.value_or(*limit));
    }
    if (path.empty()) return least;
    path = path.parent_path();
  }
}

}  // namespace

MemoryBudget::MemoryBudget(std::optional<uint64_t> limit, Usage usage, const Clock& clock)
    : limit_(limit), usage_(std::move(usage)), clock_(clock) {
  Measure(true);
}

uint64_t MemoryBudget::refusals_here() { return refusals; }

uint64_t MemoryBudget::Other() const {
  const uint64_t used = usage_(), counted = counted_.load(std::memory_order_relaxed);
  return used > counted ? used - counted : 0;
}

void MemoryBudget::SetOther(uint64_t other) {
  room_.store(*limit_ > other ? *limit_ - other : 0, std::memory_order_relaxed);
}

void MemoryBudget::Measure(bool at_rest) {
  if (!limit_) return;
  const std::lock_guard lock(mu_);
  uint64_t other = Other();
  if (at_rest) {
    // What the allocator keeps is no use of it.
    if (other > least_other_ + *limit_ / 16) {
      ReturnFreeMemory();
      other = Other();
    }
    least_other_ = other;
  }
  // What is counted and not written to yet hides some of it.
  SetOther(std::max(other, least_other_));
}

bool MemoryBudget::TakeScarce(uint64_t bytes) {
  if (bytes < *limit_) LookAgain();
  if (counted() <= room_.load(std::memory_order_relaxed)) return true;
  Give(bytes);
  refused_.fetch_add(1, std::memory_order_relaxed);
  ++refusals;
  return false;
}

void MemoryBudget::LookAgain() {
  const std::lock_guard lock(mu_);
  const Instant now = clock_.Now();
  if (looked_ != Instant() && now - looked_ < kBetweenLooks) return;
  looked_ = now;
  ReturnFreeMemory();
  // No more than all that is used.
  least_other_ = std::min(least_other_, usage_());
  SetOther(std::max(Other(), least_other_));
}

void ReturnFreeMemory() { malloc_trim(0); }

uint64_t ProcessMemory() {
  std::ifstream stream("/proc/self/statm");
  uint64_t size = 0, resident = 0, shared = 0;
  stream >> size >> resident >> shared;
  return (resident - std::min(shared, resident)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::optional<uint64_t> ControlGroupLimit(const std::filesystem::path& root) {
  std::ifstream groups(root / "proc/self/cgroup");
  std::optional<uint64_t> least;
  const auto consider = [&](std::optional<uint64_t> limit) {
    if (limit) least = std::min(*limit, least.value_or(*limit));
  };
  // "0::/path" in version 2, "4:memory:/path" in version 1.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(":/");
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string path = line.substr(second + 2);
    const std::string controllers =
        first < second ? line.substr(first + 1, second - first - 1) : "";
    if (controllers.empty()) {
      consider(LeastLimit(root / "sys/fs/cgroup", path, "memory.max"));
    } else if (controllers == "memory") {
      consider(LeastLimit(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes"));
    }
  }
  return least;
}

}  // namespace torchfleet::worker
