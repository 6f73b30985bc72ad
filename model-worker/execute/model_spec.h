#pragma once
// What a model takes and gives, in the terms of the wire. Plain values.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "wire/datatype.h"

namespace torchfleet::worker {

// One input or output.
struct TensorSpec {
  std::string name;
  wire::DataType type = wire::DataType::kFp32;
  // All dimensions, the batch included; -1 for one that varies.
  std::vector<int64_t> shape;
  // May be left out of a request. Inputs only.
  bool optional = false;
};

struct ModelSpec {
  std::string name;
  std::string version;
  std::string platform;
  // 0: the model has no batch dimension. Else every first dimension is the
  // batch, the same for all tensors of a request.
  int64_t max_batch_size = 0;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  // Executors.
  int instances = 1;
  // From config.pbtxt.
  std::map<std::string, std::string> parameters;
};

// "[-1,784]", as error messages show shapes.
std::string ShapeText(const std::vector<int64_t>& shape);

// Elements of a shape without negative dimensions; false when the product does
// not fit int64.
bool ElementCount(const std::vector<int64_t>& shape, int64_t* count);

}  // namespace torchfleet::worker
