#pragma once
// gRPC's messages in a body: a byte (compressed or not), four bytes of length,
// the message. Takes the body as it comes and gives whole messages.
//
// Not thread-safe. Keeps its room from message to message.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

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
  // Messages over `limit` bytes are refused before room is made for them.
  explicit MessageReader(size_t limit) : limit_(limit) {}

  // Takes `bytes` and calls `on_message(std::string_view)` for each message that
  // is whole then; the view is gone after the call. RESOURCE_EXHAUSTED for one
  // over the limit, INTERNAL for a compressed one: no encoding was agreed on.
  template <typename OnMessage>
  absl::Status Take(std::string_view bytes, OnMessage on_message) {
    while (!bytes.empty()) {
      if (prefix_size_ < kGrpcPrefixSize) {
        TakePrefix(bytes);
        if (prefix_size_ < kGrpcPrefixSize) return absl::OkStatus();
        if (absl::Status status = CheckPrefix(); !status.ok()) return status;
        if (bytes.empty() && size_ > 0) return absl::OkStatus();
      }
      if (message_.empty() && bytes.size() >= size_) {
        // All of it is here: no copy.
        const std::string_view whole = bytes.substr(0, size_);
        bytes.remove_prefix(size_);
        prefix_size_ = 0;
        on_message(whole);
        continue;
      }
      const size_t count = std::min(bytes.size(), size_ - message_.size());
      message_.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      if (message_.size() < size_) return absl::OkStatus();
      prefix_size_ = 0;
      on_message(std::string_view(message_));
      message_.clear();
    }
    return absl::OkStatus();
  }

  // Nothing of a message has come that did not come whole.
  bool AtBoundary() const { return prefix_size_ == 0; }
  void Clear() {
    prefix_size_ = 0;
    message_.clear();
  }

 private:
  void TakePrefix(std::string_view& bytes) {
    while (prefix_size_ < kGrpcPrefixSize && !bytes.empty()) {
      prefix_[prefix_size_++] = static_cast<uint8_t>(bytes.front());
      bytes.remove_prefix(1);
    }
  }
  absl::Status CheckPrefix();

  const size_t limit_;
  uint8_t prefix_[kGrpcPrefixSize] = {};
  size_t prefix_size_ = 0;
  size_t size_ = 0;
  std::string message_;
};

}  // namespace torchfleet::net
