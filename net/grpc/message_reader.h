#pragma once
// gRPC's messages in a body: a byte (compressed or not), four bytes of length,
// the message. Takes the body as it comes and gives whole messages, or only
// watches over a body that somebody passes on.
//
// Not thread-safe.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "net/buffer/block.h"

namespace torchfleet::net {

inline constexpr size_t kGrpcPrefixSize = 5;

// The five bytes before a message.
inline void WriteGrpcPrefix(size_t message_size, char* prefix) {
  prefix[0] = 0;
  for (int i = 0; i < 4; ++i) {
    prefix[1 + i] = static_cast<char>(message_size >> (24 - 8 * i) & 0xff);
  }
}

class MessageReader {
 public:
  // Messages over `limit` bytes are refused by their prefix.
  explicit MessageReader(size_t limit) : limit_(limit) {}

  // Takes `bytes` and calls `on_message(const Slice&)` for each message that is
  // whole then. One that lies within `bytes` is not copied; another is gathered
  // in room of its own, from `pool` if it is small. RESOURCE_EXHAUSTED for one
  // over the limit, INTERNAL for a compressed one: no encoding was agreed on.
  template <typename OnMessage>
  absl::Status Take(Slice bytes, BlockPool& pool, OnMessage on_message) {
    while (!bytes.empty()) {
      if (prefix_size_ < kGrpcPrefixSize) {
        bytes.RemovePrefix(TakePrefix(bytes.bytes()));
        if (prefix_size_ < kGrpcPrefixSize) return absl::OkStatus();
        if (absl::Status status = CheckPrefix(); !status.ok()) return status;
        if (bytes.empty() && size_ > 0) return absl::OkStatus();
      }
      if (seen_ == 0 && bytes.size() >= size_) {
        prefix_size_ = 0;
        on_message(bytes.Cut(size_));
        continue;
      }
      bytes.RemovePrefix(Gather(bytes.bytes(), pool));
      if (seen_ < size_) return absl::OkStatus();
      prefix_size_ = seen_ = 0;
      on_message(std::exchange(gathered_, Slice()));
    }
    return absl::OkStatus();
  }

  // The same checks for a body whose messages go elsewhere as they come. Not to
  // be mixed with Take.
  absl::Status Watch(std::string_view bytes);

  // Nothing of a message has come that did not come whole.
  bool AtBoundary() const { return prefix_size_ == 0; }
  void Clear() {
    prefix_size_ = seen_ = 0;
    gathered_ = Slice();
  }

 private:
  // How many of the bytes belonged to the prefix.
  size_t TakePrefix(std::string_view bytes);
  absl::Status CheckPrefix();
  // How many of the bytes belonged to the message.
  size_t Gather(std::string_view bytes, BlockPool& pool);

  const size_t limit_;
  uint8_t prefix_[kGrpcPrefixSize] = {};
  size_t prefix_size_ = 0;
  size_t size_ = 0;  // of the message
  size_t seen_ = 0;  // of it, where it did not come whole
  Slice gathered_;
};

}  // namespace torchfleet::net
