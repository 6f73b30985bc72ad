#pragma once
// Tensors as people and programs write them: JSON, .npy files and PNG images to
// the wire's bytes, and back to JSON. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "wire/datatype.h"

namespace torchfleet::cli {

// A tensor, laid out as on the wire.
struct Tensor {
  std::vector<int64_t> shape;
  std::string bytes;
};

// What an input takes, from the model's metadata.
struct InputSpec {
  std::string name;
  wire::DataType type = wire::DataType::kFp32;
  // -1 for a dimension that varies.
  std::vector<int64_t> shape;
};

// Nested lists, or one value. INVALID_ARGUMENT, naming the element, for ragged
// lists and for values that the datatype cannot hold.
absl::StatusOr<Tensor> TensorFromJson(const nlohmann::json& value, wire::DataType type);

// A whole .npy file; elements are converted when their type is another, as
// long as each fits.
absl::StatusOr<Tensor> TensorFromNpy(std::string_view file, wire::DataType type);

// Puts a batch dimension of one before a tensor that lacks just that, and says
// what is wrong with one that does not fit otherwise.
absl::Status FitShape(const InputSpec& spec, Tensor* tensor);

// Nested lists by the shape. FP16 and BF16 as the numbers they mean, BYTES as
// strings. INTERNAL when the bytes are fewer or more than the shape says, or no
// tensor can have that shape.
absl::StatusOr<nlohmann::json> TensorToJson(const Tensor& tensor, wire::DataType type);

// One element as JSON; BYTES is not among them.
nlohmann::json ElementToJson(const char* bytes, wire::DataType type);

}  // namespace torchfleet::cli
