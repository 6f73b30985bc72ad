#pragma once
// An inference call's body as it comes, up to where it says which model it is
// for.
//
// The verdict on a message that is whole is wire/'s. Of one that is not, the
// first fields decide: every writer of Protocol Buffers puts name and version
// in front of the tensors. Keeps its room from call to call. Not thread-safe.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "wire/infer_request_scan.h"

namespace torchfleet::gateway {

class RequestHead {
 public:
  // Messages over this are RESOURCE_EXHAUSTED.
  static constexpr size_t kMaxMessage = 64 << 20;
  // The name is within this much of a message, or it is not taken.
  static constexpr size_t kMostBefore = 256 << 10;

  // The next bytes of the body. Nothing while it is open which model is meant.
  // INTERNAL for a compressed message, RESOURCE_EXHAUSTED, INVALID_ARGUMENT.
  std::optional<absl::StatusOr<wire::InferRequestHead>> Take(std::string_view bytes);

  // The whole body's, once its model is known.
  size_t body_size() const { return body_size_; }
  // What Take was given before the call that decided.
  std::string_view before() const { return before_; }
  void Clear() {
    before_.clear();
    body_size_ = 0;
  }

 private:
  std::optional<absl::StatusOr<wire::InferRequestHead>> Decide(std::string_view body);

  std::string before_;
  size_t body_size_ = 0;
};

}  // namespace torchfleet::gateway
