#pragma once
// How an embedded store's position never goes back over restarts, without a
// write to the disk per revision. Pure.
//
// A life reserves revisions a block at a time, on the disk, before it uses
// them; the next life begins after all that were reserved. One that begins on
// a full disk can reserve nothing: it, and those after it, begin no lower than
// a block for each second of the file's age.

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"

namespace torchfleet::registry {

class RevisionBlocks {
 public:
  static constexpr uint64_t kBlock = uint64_t{1} << 32;
  // Kept for ends of leases, which cannot be refused.
  static constexpr uint64_t kMargin = uint64_t{1} << 24;

  // `reserved`: the end of what earlier lives have reserved.
  RevisionBlocks(uint64_t reserved, absl::Duration age)
      : first_(std::max(reserved, Seconds(age) * kBlock)), end_(first_ + kBlock) {}

  uint64_t first() const { return first_; }
  // What is to be reserved on the disk.
  uint64_t end() const { return end_; }
  bool NeedsMore(uint64_t revision) const { return revision + kBlock / 2 > end_; }
  void Grow() { end_ += kBlock; }
  bool HasRoom(uint64_t revision) const { return revision + kMargin < end_; }

 private:
  static uint64_t Seconds(absl::Duration age) {
    return static_cast<uint64_t>(std::max<int64_t>(absl::ToInt64Seconds(age), 0));
  }
  uint64_t first_, end_;
};

}  // namespace torchfleet::registry
