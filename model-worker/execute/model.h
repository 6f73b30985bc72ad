#pragma once
// The seam between serving and computing: one loaded model.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "wire/datatype.h"

namespace torchfleet::worker {

// An input as the model gets it: checked against the model's spec. The bytes
// belong to the request, little-endian and row-major as on the wire, at any
// alignment.
struct InputTensor {
  std::vector<int64_t> shape;
  std::string_view bytes;
  // An optional input that the request left out.
  bool absent = false;
};

// An output as the wire wants it.
struct OutputTensor {
  wire::DataType type = wire::DataType::kFp32;
  std::vector<int64_t> shape;
  std::string bytes;
};

// Thread-safe: every executor runs the same one.
class Model {
 public:
  virtual ~Model() = default;

  // `inputs` as the spec lists them; the outputs as the spec lists them.
  // INTERNAL when the model fails on this input, RESOURCE_EXHAUSTED when memory
  // does not suffice. Messages are fit for callers: what the model itself said
  // goes to the log.
  virtual absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<InputTensor>& inputs) = 0;
};

}  // namespace torchfleet::worker
