#pragma once
// What a model takes and gives, in the terms of the wire. Plain values.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model-worker/batch/batch_rules.h"
#include "model-worker/execute/length_rules.h"
#include "model-worker/queue/line_rules.h"
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
  // Its shape inside the model, where that is another; as many dimensions vary.
  std::optional<std::vector<int64_t>> inside = std::nullopt;
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
  // How requests wait, and how batches are made of them.
  LineRules line;
  BatchRules batching;
  // How requests of unequal lengths share a batch.
  LengthRules lengths;
  // Executors, and the CPUs that they share; none: wherever the process runs.
  int instances = 1;
  std::vector<int> cpus;
  // From config.pbtxt.
  std::map<std::string, std::string> parameters;
};

// How many requests can run at once, when each is one row.
uint32_t RequestsAtOnce(const ModelSpec& spec);

// "[-1,784]", as error messages show shapes.
std::string ShapeText(const std::vector<int64_t>& shape);

// Elements of a shape without negative dimensions; false when the product does
// not fit int64.
bool ElementCount(const std::vector<int64_t>& shape, int64_t* count);

}  // namespace torchfleet::worker
