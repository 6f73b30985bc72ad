#pragma once
// A model's tensors as REST needs to know them: what `/v1`, `/predict` and the
// raw mode of `/v2` cannot read from the call itself.

#include <cstdint>
#include <string>
#include <vector>

#include "wire/datatype.h"

namespace torchfleet::gateway::rest {

struct TensorSpec {
  std::string name;
  wire::DataType datatype = wire::DataType::kFp32;
  // With the batch dimension, as the model's metadata has it; -1 where any size
  // goes.
  std::vector<int64_t> shape;
};

struct ModelSpec {
  std::string name;
  std::vector<std::string> versions;
  std::string platform;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
};

}  // namespace torchfleet::gateway::rest
