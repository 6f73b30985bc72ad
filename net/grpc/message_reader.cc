#include "net/grpc/message_reader.h"

#include <fmt/format.h>

namespace torchfleet::net {

absl::Status MessageReader::CheckPrefix() {
  if (prefix_[0] != 0) {
    return absl::InternalError(fmt::format(
        "a message's first byte is {}; expected 0, as no encoding was agreed on", prefix_[0]));
  }
  size_ = 0;
  for (size_t i = 1; i < kGrpcPrefixSize; ++i) size_ = size_ << 8 | prefix_[i];
  if (size_ > limit_) {
    return absl::ResourceExhaustedError(
        fmt::format("a message has {} bytes; expected at most {}", size_, limit_));
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::net
