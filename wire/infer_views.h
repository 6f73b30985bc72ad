#pragma once
// Views over the bytes of ModelInferRequest and ModelInferResponse.
//
// Parse() walks the message once, whatever the order of its fields, and checks
// all of it: lengths before they are believed, nesting, UTF-8 of texts. Its
// verdict and every value are those of Protocol Buffers' own parser: the last
// of a field that comes twice, repeated fields joined, messages merged, unknown
// fields skipped. Beyond that it refuses more parts than MessageLimits allows,
// before it makes room for them.
//
// Texts, raw contents and tensors' elements stay where they are in the input:
// the views point into it. A message of usual size (four tensors, sixteen
// dimensions, four parameters of each kind) is read without an allocation.
//
// What the values mean (a datatype's name, the shape against the bytes) is not
// checked here.
//
// Lifecycle: construct once, Parse() any number of times; what an earlier
//   Parse() gave ends with the next. After an error the view is empty.
// Borrows the message's bytes, which outlive the use of the view.
// Not thread-safe; reading a parsed view from several threads is safe.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"

namespace torchfleet::wire {

// How many parts a message may have. Every occurrence counts, also one that a
// later one overrides.
struct MessageLimits {
  // Inputs or outputs, and as many raw contents.
  size_t tensors = 1024;
  size_t requested_outputs = 1024;
  // Of the message itself; and once more of all its tensors and requested
  // outputs together.
  size_t parameters = 256;
  // Of one tensor.
  size_t dimensions = 64;
};

// Nothing when the parameter came without a value.
using ParameterValue =
    std::variant<std::monostate, bool, int64_t, std::string_view, double, uint64_t>;

struct Parameter {
  std::string_view key;
  ParameterValue value;
};

// Null when there is none of that key.
const ParameterValue* FindParameter(std::span<const Parameter> parameters, std::string_view key);

// The fields of InferTensorContents, by their numbers.
enum class ContentsKind : uint32_t {
  kBool = 1,
  kInt = 2,
  kInt64 = 3,
  kUint = 4,
  kUint64 = 5,
  kFp32 = 6,
  kFp64 = 7,
  kBytes = 8,
};
inline constexpr size_t kContentsKinds = 8;

// Elements that came typed, not raw. Read them with wire/tensor_contents.h.
struct TypedContents {
  // Whether the tensor has `contents` at all, be they empty.
  bool present = false;
  // Elements of each kind, by its number less one.
  std::array<uint32_t, kContentsKinds> counts = {};
  // The tensor's own message, which holds them: valid, and not decoded yet.
  std::string_view tensor;

  size_t Count(ContentsKind kind) const { return counts[static_cast<size_t>(kind) - 1]; }
  size_t Total() const;
};

// An input of a request or an output of a response.
struct TensorView {
  std::string_view name;
  std::string_view datatype;
  std::span<const int64_t> shape;
  std::span<const Parameter> parameters;
  TypedContents contents;
};

struct RequestedOutputView {
  std::string_view name;
  std::span<const Parameter> parameters;
};

using ParameterPool = absl::InlinedVector<Parameter, 4>;

// What the parser fills: the parts of either message. Shapes and parameters of
// tensors and requested outputs point into the pools, so it stays where it is.
struct MessageParts {
  std::string_view model_name;
  std::string_view model_version;
  std::string_view id;
  ParameterPool parameters;
  absl::InlinedVector<TensorView, 4> tensors;
  absl::InlinedVector<RequestedOutputView, 4> requested_outputs;
  absl::InlinedVector<std::string_view, 4> raw_contents;
  absl::InlinedVector<int64_t, 16> dimensions;
  ParameterPool tensor_parameters;
  ParameterPool output_parameters;

  MessageParts() = default;
  MessageParts(const MessageParts&) = delete;
  MessageParts& operator=(const MessageParts&) = delete;

  void Clear();
};

class InferRequestView {
 public:
  // INVALID_ARGUMENT for bytes that are no such message or pass a limit.
  absl::Status Parse(std::string_view message, const MessageLimits& limits = {});

  std::string_view model_name() const { return parts_.model_name; }
  // Empty for the highest that is ready.
  std::string_view model_version() const { return parts_.model_version; }
  std::string_view id() const { return parts_.id; }
  std::span<const Parameter> parameters() const { return parts_.parameters; }
  std::span<const TensorView> inputs() const { return parts_.tensors; }
  std::span<const RequestedOutputView> outputs() const { return parts_.requested_outputs; }
  std::span<const std::string_view> raw_input_contents() const { return parts_.raw_contents; }

 private:
  MessageParts parts_;
};

class InferResponseView {
 public:
  // INVALID_ARGUMENT for bytes that are no such message or pass a limit.
  absl::Status Parse(std::string_view message, const MessageLimits& limits = {});

  std::string_view model_name() const { return parts_.model_name; }
  std::string_view model_version() const { return parts_.model_version; }
  std::string_view id() const { return parts_.id; }
  std::span<const Parameter> parameters() const { return parts_.parameters; }
  std::span<const TensorView> outputs() const { return parts_.tensors; }
  std::span<const std::string_view> raw_output_contents() const { return parts_.raw_contents; }

 private:
  MessageParts parts_;
};

}  // namespace torchfleet::wire
