#pragma once
// How much memory the process may use, and what it uses: what is counted here,
// tensors and large requests, and the rest, which is measured now and then.
//
// Whoever wants more than is left is refused and can say so to its caller; the
// kernel would end the process. Before the first refusal after a while it gives
// back what the allocator keeps, and measures anew.
//
// Thread-safe; Take and Give are a relaxed addition each.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "base/clock.h"

namespace torchfleet::worker {

class MemoryBudget {
 public:
  // What the process uses that cannot be taken from it, in bytes.
  using Usage = std::function<uint64_t()>;

  // Without a limit it counts only.
  MemoryBudget(std::optional<uint64_t> limit, Usage usage, const Clock& clock);

  // Counts `bytes`; false, and does not, when the limit would be passed.
  [[nodiscard]] bool Take(uint64_t bytes) {
    const uint64_t counted = counted_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    return counted <= room_.load(std::memory_order_relaxed) || TakeScarce(bytes);
  }
  // Counts what is there in any case.
  void Add(uint64_t bytes) { counted_.fetch_add(bytes, std::memory_order_relaxed); }
  void Give(uint64_t bytes) { counted_.fetch_sub(bytes, std::memory_order_relaxed); }

  // Learns anew what is used besides what is counted. `at_rest`: nothing runs, so
  // all that is counted has been written to, and the figure is right; others do
  // not go below it.
  void Measure(bool at_rest);

  std::optional<uint64_t> limit() const { return limit_; }
  uint64_t counted() const { return counted_.load(std::memory_order_relaxed); }
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  // How many Takes of this thread were refused: whoever calls what takes memory
  // sees by it why that failed, whatever became of the error on its way.
  static uint64_t refusals_here();

 private:
  static constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

  // `bytes` are counted, and too many.
  bool TakeScarce(uint64_t bytes);
  void LookAgain();
  // What is used less what is counted.
  uint64_t Other() const;
  void SetOther(uint64_t other);

  const std::optional<uint64_t> limit_;
  const Usage usage_;
  const Clock& clock_;
  std::atomic<uint64_t> counted_ = 0;
  // The limit less what is used otherwise.
  std::atomic<uint64_t> room_ = kNoLimit;
  std::atomic<uint64_t> refused_ = 0;
  std::mutex mu_;
  uint64_t least_other_ ABSL_GUARDED_BY(mu_) = 0;
  Instant looked_ ABSL_GUARDED_BY(mu_);
};

// Gives back to the system what the allocator keeps of freed memory.
void ReturnFreeMemory();

// This process's memory that is no file's, in bytes: the kernel can take back
// what it has of files.
uint64_t ProcessMemory();

// The least limit of this process's control groups, of either version; nothing
// where there is none. `root`: "/", or what stands for it in a test.
std::optional<uint64_t> ControlGroupLimit(const std::filesystem::path& root);

}  // namespace torchfleet::worker
