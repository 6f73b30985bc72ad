#pragma once
// Bytes on their way out: slices in order, and small pieces copied together.
// Not thread-safe.

#include <sys/uio.h>

#include <cstddef>
#include <string_view>
#include <vector>

#include "net/buffer/block.h"

namespace torchfleet::net {

class SliceQueue {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  // By reference.
  void Append(Slice slice);
  // Copied into a block of the pool's, behind what was copied before.
  void AppendCopy(std::string_view bytes, BlockPool& pool);
  // Moves the first `count` bytes, which are there, to the end of `to`: by
  // reference, or copied where they are so few that this is cheaper.
  void MoveTo(SliceQueue& to, size_t count, BlockPool& pool);

  // Describes the first bytes for writev; how many entries it filled.
  int Describe(iovec* entries, int most) const;
  // The first `count` bytes are done with.
  void Drop(size_t count);
  void Clear();

 private:
  // Below it a copy costs less than another entry for writev.
  static constexpr size_t kWorthReference = 2048;

  const Slice& front() const { return slices_[first_]; }
  void DropFront();

  std::vector<Slice> slices_;
  size_t first_ = 0;
  size_t size_ = 0;
};

}  // namespace torchfleet::net
