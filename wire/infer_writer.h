#pragma once
// Writes ModelInferRequest and ModelInferResponse as pieces for a gathering
// write: bytes of our own, and between them the callers' tensors by reference.
//
//   [names, shapes, parameters, tag and length] [tensor 0] [tag and length]
//   [tensor 1] …
//
// Tensors go out as raw contents, one entry each, also when they are empty. The
// texts must be UTF-8: a receiver refuses the message otherwise.
//
// Lifecycle: construct once, Write() any number of times; the pieces of one
//   stand until the next. Buffers are kept, so repeated writes of like size
//   allocate nothing.
// Owns the bytes between the tensors; borrows the tensors until the pieces are
//   sent.
// Not thread-safe.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "wire/infer_views.h"

namespace torchfleet::wire {

// A tensor to be sent. Borrows everything.
struct TensorSource {
  std::string_view name;
  std::string_view datatype;
  std::span<const int64_t> shape;
  std::span<const Parameter> parameters;
  // Laid out as raw contents are.
  std::string_view data;
};

struct RequestSource {
  std::string_view model_name;
  std::string_view model_version;
  std::string_view id;
  std::span<const Parameter> parameters;
  std::span<const TensorSource> inputs;
  std::span<const RequestedOutputView> outputs;
};

struct ResponseSource {
  std::string_view model_name;
  std::string_view model_version;
  std::string_view id;
  std::span<const Parameter> parameters;
  std::span<const TensorSource> outputs;
};

class InferWriter {
 public:
  // The message's pieces in order, none empty. RESOURCE_EXHAUSTED when it would
  // be longer than a message may be (kMaxMessageSize).
  absl::StatusOr<std::span<const std::string_view>> Write(const RequestSource& request);
  absl::StatusOr<std::span<const std::string_view>> Write(const ResponseSource& response);

  // Of the last message written.
  size_t size() const { return size_; }

 private:
  absl::StatusOr<std::span<const std::string_view>> Write(const RequestSource& head,
                                                          uint32_t raw_field);

  // All bytes but the tensors', in order.
  std::string own_;
  std::vector<std::string_view> pieces_;
  size_t size_ = 0;
};

}  // namespace torchfleet::wire
