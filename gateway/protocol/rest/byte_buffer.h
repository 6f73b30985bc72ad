#pragma once
// Bytes that grow at their end and keep their room from call to call.
//
// Lifecycle: Clear() before each use; Trim() gives up room that one large call
//   took.
// Not thread-safe.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace torchfleet::gateway::rest {

class ByteBuffer {
 public:
  size_t size() const { return size_; }
  std::string_view view() const { return {bytes_.get(), size_}; }
  char* data() { return bytes_.get(); }

  void Clear() { size_ = 0; }
  void Trim(size_t most) {
    if (capacity_ <= most) return;
    bytes_.reset();
    size_ = capacity_ = 0;
  }

  // Where the next `count` bytes go; they count once Commit() was called. Null
  // when the buffer would pass `limit`.
  char* Room(size_t count, size_t limit) {
    if (capacity_ - size_ < count && !Grow(count, limit)) return nullptr;
    return bytes_.get() + size_;
  }
  // How many bytes fit from where Room() pointed.
  size_t spare() const { return capacity_ - size_; }
  void Commit(size_t count) { size_ += count; }

 private:
  bool Grow(size_t count, size_t limit) {
    constexpr size_t kLeast = 4096;
    if (size_ > limit || limit - size_ < count) return false;
    const size_t wanted = std::max({kLeast, 2 * capacity_, size_ + count});
    auto larger = std::make_unique_for_overwrite<char[]>(wanted);
    if (size_ > 0) std::memcpy(larger.get(), bytes_.get(), size_);
    bytes_ = std::move(larger);
    capacity_ = wanted;
    return true;
  }

  std::unique_ptr<char[]> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace torchfleet::gateway::rest
