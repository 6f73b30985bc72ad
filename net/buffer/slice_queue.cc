#include "net/buffer/slice_queue.h"

#include <algorithm>
#include <cstring>

namespace torchfleet::net {

void SliceQueue::Append(Slice slice) {
  if (slice.empty()) return;
  size_ += slice.size();
  slices_.push_back(std::move(slice));
}

void SliceQueue::AppendCopy(std::string_view bytes, BlockPool& pool) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    const BlockPool::Room room = pool.CopyRoom();
    const std::string_view copy(room.at, std::min(bytes.size(), room.size));
    std::memcpy(room.at, bytes.data(), copy.size());
    pool.Copied(copy.size());
    if (slices_.empty() || !slices_.back().Join(room.block, copy)) {
      slices_.emplace_back(room.block, copy);
    }
    bytes.remove_prefix(copy.size());
  }
}

void SliceQueue::MoveTo(SliceQueue& to, size_t count, BlockPool& pool) {
  while (count > 0) {
    Slice& slice = slices_[first_];
    const size_t part = std::min(count, slice.size());
    if (part < kWorthReference) {
      to.AppendCopy(slice.bytes().substr(0, part), pool);
      Drop(part);
    } else if (part == slice.size()) {
      size_ -= part;
      to.Append(std::move(slice));
      DropFront();
    } else {
      size_ -= part;
      to.Append(slice.Cut(part));
    }
    count -= part;
  }
}

int SliceQueue::Describe(iovec* entries, int most) const {
  int filled = 0;
  for (size_t i = first_; i < slices_.size() && filled < most; ++i) {
    const std::string_view bytes = slices_[i].bytes();
    entries[filled++] = {const_cast<char*>(bytes.data()), bytes.size()};
  }
  return filled;
}

void SliceQueue::Drop(size_t count) {
  size_ -= count;
  while (count > 0) {
    Slice& slice = slices_[first_];
    if (count < slice.size()) {
      slice.RemovePrefix(count);
      return;
    }
    count -= slice.size();
    DropFront();
  }
}

void SliceQueue::Clear() {
  slices_.clear();
  first_ = size_ = 0;
}

void SliceQueue::DropFront() {
  slices_[first_] = Slice();
  if (++first_ < slices_.size()) {
    if (first_ < 64) return;
    slices_.erase(slices_.begin(), slices_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
    return;
  }
  slices_.clear();
  first_ = 0;
}

}  // namespace torchfleet::net
