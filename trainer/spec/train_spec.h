#pragma once
// A training spec as plain values, checked. What each field means is said in
// proto/torchfleet/train/v1/spec.proto.

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

namespace torchfleet::trainer {

struct IdxSource {
  std::filesystem::path images, labels;
};
struct CsvSource {
  std::filesystem::path file;
  bool header = false;
  size_t target_columns = 1;
};
struct NpySource {
  std::filesystem::path inputs, targets;
};

struct DataSpec {
  std::variant<IdxSource, CsvSource, NpySource> source;
  double scale = 1;
};

struct LayerSpec {
  enum class Kind { kDense, kConv2d, kMaxPool2d, kFlatten, kDropout, kBatchNorm, kRelu, kSoftmax };
  Kind kind = Kind::kRelu;
  int64_t units = 0;    // dense; filters of conv2d
  int64_t kernel = 0;   // conv2d, max_pool2d
  int64_t stride = 1;   // conv2d, max_pool2d
  int64_t padding = 0;  // conv2d
  double rate = 0;      // dropout
};

enum class LossKind { kSparseCrossEntropy, kMse };

struct ScheduleSpec {
  enum class Kind { kConstant, kStep, kCosine, kExponential };
  Kind kind = Kind::kConstant;
  uint32_t every_epochs = 1;
  double factor = 1;
  double final_rate = 0;
};

struct OptimizerSpec {
  enum class Kind { kSgd, kAdam, kAdamW };
  Kind kind = Kind::kSgd;
  double learning_rate = 0;
  double weight_decay = 0;
  double momentum = 0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  ScheduleSpec schedule;
};

struct TrainSpec {
  std::string model;
  DataSpec train, test;
  std::vector<int64_t> input_shape;
  std::vector<LayerSpec> layers;
  LossKind loss = LossKind::kSparseCrossEntropy;
  OptimizerSpec optimizer;
  uint32_t epochs = 0;
  uint32_t batch_size = 0;
  uint64_t seed = 0;
  std::string input_name, output_name;
  uint32_t max_batch_size = 64;
  // As written, for the record.
  std::string text;
};

// The rate of an epoch, counted from 0. Cosine: Loshchilov and Hutter, 2016,
// without restarts.
double LearningRate(const OptimizerSpec& optimizer, uint32_t epoch, uint32_t epochs);

}  // namespace torchfleet::trainer
