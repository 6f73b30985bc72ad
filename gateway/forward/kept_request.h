#pragma once
// What has come of a request's body, for as long as another worker may need it:
// up to a limit, beyond which it is let go and the call has one chance only.
//
// A request that is known to be over the limit is kept for its first bytes alone,
// while a worker may still turn out to be away: memory that is held for nothing
// is cold when it is written again, and a large call then costs a tenth more.
// Small pieces are copied, so that they do not hold the blocks they came in.
// Not thread-safe.

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "net/buffer/block.h"
#include "net/http/stream.h"

namespace torchfleet::gateway {

class KeptRequest {
 public:
  static constexpr size_t kLimit = 1 << 20;
  static constexpr size_t kLimitOfLarge = 128 << 10;

  // What the whole of it will be, once that is known.
  void Expect(size_t size) { limit_ = size <= kLimit ? kLimit : kLimitOfLarge; }

  // Nobody has it yet: all that comes is kept, which is no more than the caller's
  // window. Expect ends that.
  void KeepAll() { limit_ = std::numeric_limits<size_t>::max(); }

  void Add(const net::Slice& bytes) {
    if (lost_) return;
    size_ += bytes.size();
    if (size_ > limit_) return Drop();
    if (slices_.empty() && bytes.size() < kWorthReference) {
      small_.append(bytes.bytes());
    } else {
      slices_.push_back(bytes);
    }
  }
  // It may not be needed any more, or no longer be had.
  void Drop() {
    Clear();
    lost_ = true;
  }
  void Clear() {
    small_.clear();
    slices_.clear();
    size_ = 0;
    limit_ = kLimit;
    lost_ = false;
  }

  // All of it is here.
  bool whole() const { return !lost_; }
  // All of it in one piece.
  std::string Copy() const {
    std::string all = small_;
    for (const net::Slice& slice : slices_) all.append(slice.bytes());
    return all;
  }
  // Sends it all once more.
  void SendTo(net::Stream& stream) const {
    if (!small_.empty()) stream.SendCopy(small_, /*end=*/false);
    for (const net::Slice& slice : slices_) stream.Send(slice, /*end=*/false);
  }

 private:
  static constexpr size_t kWorthReference = 4096;

  std::string small_;
  std::vector<net::Slice> slices_;
  size_t size_ = 0;
  size_t limit_ = kLimit;
  bool lost_ = false;
};

}  // namespace torchfleet::gateway
