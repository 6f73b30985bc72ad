#pragma once
// What a request is put together from while a body is read, and the scratch room
// that it keeps from call to call.
//
// Tensors and parameters point at each other by index until Write(), since what
// holds them grows.
//
// Lifecycle: Clear(), fill, Write(); what Write() gives stands until the next
//   Clear().
// Not thread-safe.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/protocol/rest/byte_buffer.h"
#include "gateway/protocol/rest/json_cursor.h"
#include "gateway/protocol/rest/rest_codec.h"
#include "gateway/protocol/rest/tensor_reader.h"
#include "wire/infer_writer.h"

namespace torchfleet::gateway::rest {

// INVALID_ARGUMENT whose detail names the field at fault.
absl::Status Invalid(std::string_view field, std::string text);

// Of the parameters in the pool.
struct ParameterRange {
  size_t first = 0;
  size_t count = 0;
};

// An input's room; the object outlives the call, so that its buffers do.
struct InputParts {
  std::string_view name;
  std::string_view datatype;
  Shape shape;
  ParameterRange parameters;
  // From JSON …
  ByteBuffer raw;
  // … or as it came, instead.
  std::optional<std::string_view> binary;

  void Clear();
};

struct OutputParts {
  std::string_view name;
  ParameterRange parameters;
};

class RequestParts {
 public:
  void Clear();

  // Cleared; stands until the next AddInput().
  InputParts& AddInput();
  std::span<InputParts> inputs() { return std::span(inputs_).first(input_count_); }

  absl::StatusOr<std::span<const std::string_view>> Write(const RestCall& call, size_t max_bytes);
  size_t size() const { return writer_.size(); }

  TextArena texts;
  std::string_view id;
  ParameterRange parameters;
  std::vector<OutputParts> outputs;
  std::vector<wire::Parameter> pool;
  // Of the value that was read last.
  Shape value_shape;
  // By input: how many values it got.
  std::vector<int64_t> value_counts;

 private:
  std::span<const wire::Parameter> Resolved(ParameterRange range) const {
    return std::span(pool).subspan(range.first, range.count);
  }

  std::vector<InputParts> inputs_;
  size_t input_count_ = 0;
  std::vector<wire::TensorSource> tensors_;
  std::vector<wire::RequestedOutputView> requested_;
  wire::InferWriter writer_;
};

}  // namespace torchfleet::gateway::rest
