#include "trainer/spec/read_spec.h"

#include <fmt/format.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <sstream>

#include "base/status.h"
#include "repository/layout.h"
#include "torchfleet/train/v1/spec.pb.h"

namespace torchfleet::trainer {
namespace {

namespace fs = std::filesystem;
namespace v1 = train::v1;

absl::Status Wrong(const std::string& message) { return absl::InvalidArgumentError(message); }

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text.empty()) text = fmt::format("{}:{}: {}", line + 1, column + 1, message);
  }
  std::string text;
};

// The paths of a source; an empty one is a field that was left out.
absl::Status CheckPaths(const std::string& field, std::initializer_list<std::string> paths) {
  for (const std::string& path : paths) {
    if (path.empty()) return Wrong(fmt::format("{} names no file; expected its path", field));
  }
  return absl::OkStatus();
}

absl::StatusOr<DataSpec> ReadData(const std::string& field, const v1::Dataset& data,
                                  const fs::path& folder) {
  DataSpec spec;
  if (data.scale() != 0) spec.scale = data.scale();
  if (!std::isfinite(spec.scale)) {
    return Wrong(fmt::format("{}.scale is {}; expected a finite number", field, spec.scale));
  }
  switch (data.source_case()) {
    case v1::Dataset::kIdx:
      RETURN_IF_ERROR(CheckPaths(field + ".idx", {data.idx().images(), data.idx().labels()}));
      spec.source = IdxSource{folder / data.idx().images(), folder / data.idx().labels()};
      break;
    case v1::Dataset::kCsv:
      RETURN_IF_ERROR(CheckPaths(field + ".csv", {data.csv().file()}));
      spec.source = CsvSource{folder / data.csv().file(), data.csv().header(),
                              std::max<size_t>(1, data.csv().target_columns())};
      break;
    case v1::Dataset::kNpy:
      RETURN_IF_ERROR(CheckPaths(field + ".npy", {data.npy().inputs(), data.npy().targets()}));
      spec.source = NpySource{folder / data.npy().inputs(), folder / data.npy().targets()};
      break;
    case v1::Dataset::SOURCE_NOT_SET:
      return Wrong(fmt::format("{} names no data; expected idx, csv or npy", field));
  }
  return spec;
}

absl::StatusOr<LayerSpec> ReadLayer(const std::string& where, const v1::Layer& layer) {
  using Kind = LayerSpec::Kind;
  LayerSpec spec;
  switch (layer.layer_case()) {
    case v1::Layer::kDense:
      spec = {.kind = Kind::kDense, .units = layer.dense().units()};
      if (spec.units == 0) return Wrong(where + ".dense.units is 0; expected over 0");
      break;
    case v1::Layer::kConv2D: {
      const auto& conv = layer.conv2d();
      spec = {.kind = Kind::kConv2d,
              .units = conv.filters(),
              .kernel = conv.kernel(),
              .stride = std::max<int64_t>(1, conv.stride()),
              .padding = conv.padding()};
      if (spec.units == 0) return Wrong(where + ".conv2d.filters is 0; expected over 0");
      if (spec.kernel == 0) return Wrong(where + ".conv2d.kernel is 0; expected over 0");
      break;
    }
    case v1::Layer::kMaxPool2D: {
      const auto& pool = layer.max_pool2d();
      if (pool.kernel() == 0) return Wrong(where + ".max_pool2d.kernel is 0; expected over 0");
      spec = {.kind = Kind::kMaxPool2d,
              .kernel = pool.kernel(),
              .stride = pool.stride() == 0 ? pool.kernel() : pool.stride()};
      break;
    }
    case v1::Layer::kDropout:
      spec = {.kind = Kind::kDropout, .rate = layer.dropout().rate()};
      if (!(spec.rate >= 0 && spec.rate < 1)) {
        return Wrong(fmt::format("{}.dropout.rate is {}; expected at least 0 and under 1", where,
                                 spec.rate));
      }
      break;
    case v1::Layer::kFlatten:
      spec.kind = Kind::kFlatten;
      break;
    case v1::Layer::kBatchNorm:
      spec.kind = Kind::kBatchNorm;
      break;
    case v1::Layer::kRelu:
      spec.kind = Kind::kRelu;
      break;
    case v1::Layer::kSoftmax:
      spec.kind = Kind::kSoftmax;
      break;
    case v1::Layer::LAYER_NOT_SET:
      return Wrong(where +
                   " is empty; expected dense, conv2d, max_pool2d, flatten, dropout, "
                   "batch_norm, relu or softmax");
  }
  return spec;
}

absl::StatusOr<ScheduleSpec> ReadSchedule(const v1::Optimizer::Schedule& schedule) {
  using Kind = ScheduleSpec::Kind;
  ScheduleSpec spec;
  if (schedule.has_step()) {
    spec = {.kind = Kind::kStep,
            .every_epochs = schedule.step().every_epochs(),
            .factor = schedule.step().factor()};
    if (spec.every_epochs == 0) {
      return Wrong("optimizer.schedule.step.every_epochs is 0; expected over 0");
    }
  } else if (schedule.has_cosine()) {
    spec = {.kind = Kind::kCosine, .final_rate = schedule.cosine().final_rate()};
  } else if (schedule.has_exponential()) {
    spec = {.kind = Kind::kExponential, .factor = schedule.exponential().factor()};
  }
  if (!(spec.factor > 0) || !(spec.final_rate >= 0)) {
    return Wrong("optimizer.schedule: expected a factor over 0 and a final_rate of 0 or more");
  }
  return spec;
}

absl::StatusOr<OptimizerSpec> ReadOptimizer(const v1::Optimizer& optimizer) {
  using Kind = OptimizerSpec::Kind;
  OptimizerSpec spec;
  const auto adam = [&](const v1::Optimizer::Adam& from) {
    if (from.beta1() != 0) spec.beta1 = from.beta1();
    if (from.beta2() != 0) spec.beta2 = from.beta2();
    if (from.epsilon() != 0) spec.epsilon = from.epsilon();
  };
  switch (optimizer.algorithm_case()) {
    case v1::Optimizer::kSgd:
      spec.kind = Kind::kSgd;
      spec.momentum = optimizer.sgd().momentum();
      break;
    case v1::Optimizer::kAdam:
      spec.kind = Kind::kAdam;
      adam(optimizer.adam());
      break;
    case v1::Optimizer::kAdamw:
      spec.kind = Kind::kAdamW;
      adam(optimizer.adamw());
      break;
    case v1::Optimizer::ALGORITHM_NOT_SET:
      return Wrong("optimizer names no algorithm; expected sgd, adam or adamw");
  }
  spec.learning_rate = optimizer.learning_rate();
  spec.weight_decay = optimizer.weight_decay();
  if (!(spec.learning_rate > 0) || std::isinf(spec.learning_rate)) {
    return Wrong(fmt::format("optimizer.learning_rate is {}; expected over 0 and finite",
                             spec.learning_rate));
  }
  if (!(spec.weight_decay >= 0)) {
    return Wrong(
        fmt::format("optimizer.weight_decay is {}; expected 0 or more", spec.weight_decay));
  }
  if (!(spec.momentum >= 0 && spec.momentum < 1)) {
    return Wrong(fmt::format("optimizer.sgd.momentum is {}; expected at least 0 and under 1",
                             spec.momentum));
  }
  if (!(spec.beta1 >= 0 && spec.beta1 < 1 && spec.beta2 >= 0 && spec.beta2 < 1 &&
        spec.epsilon > 0)) {
    return Wrong("optimizer: expected beta1 and beta2 at least 0 and under 1, epsilon over 0");
  }
  ASSIGN_OR_RETURN(spec.schedule, ReadSchedule(optimizer.schedule()));
  return spec;
}

absl::StatusOr<TrainSpec> Convert(const v1::TrainSpec& from, const fs::path& folder) {
  TrainSpec spec;
  spec.model = from.model();
  if (!repository::IsModelName(spec.model)) {
    return Wrong(fmt::format("model is '{}'; expected a name of letters, digits, '_', '-' and '.'",
                             Clip(spec.model)));
  }
  ASSIGN_OR_RETURN(spec.train, ReadData("train", from.train(), folder));
  ASSIGN_OR_RETURN(spec.test, ReadData("test", from.test(), folder));
  if (from.input_shape().empty()) return Wrong("input_shape is empty; expected such as [784]");
  for (const int64_t size : from.input_shape()) {
    if (size < 1) return Wrong(fmt::format("input_shape has {}; expected sizes over 0", size));
    spec.input_shape.push_back(size);
  }
  if (from.layers().empty()) return Wrong("layers is empty; expected at least one");
  for (int i = 0; i < from.layers_size(); ++i) {
    ASSIGN_OR_RETURN(LayerSpec layer, ReadLayer(fmt::format("layers[{}]", i), from.layers(i)));
    spec.layers.push_back(layer);
  }
  if (from.loss() == v1::LOSS_UNSPECIFIED) {
    return Wrong("loss is not set; expected LOSS_SPARSE_CROSS_ENTROPY or LOSS_MSE");
  }
  spec.loss = from.loss() == v1::LOSS_MSE ? LossKind::kMse : LossKind::kSparseCrossEntropy;
  ASSIGN_OR_RETURN(spec.optimizer, ReadOptimizer(from.optimizer()));
  spec.epochs = from.epochs();
  spec.batch_size = from.batch_size();
  if (spec.epochs == 0) return Wrong("epochs is 0; expected over 0");
  if (spec.batch_size == 0) return Wrong("batch_size is 0; expected over 0");
  spec.seed = from.seed();
  spec.input_name = from.input_name().empty() ? "input" : from.input_name();
  spec.output_name = from.output_name().empty() ? "output" : from.output_name();
  // The served model's config counts with 32 bits and a sign.
  if (from.max_batch_size() > INT32_MAX) {
    return Wrong(
        fmt::format("max_batch_size is {}; expected at most {}", from.max_batch_size(), INT32_MAX));
  }
  if (from.max_batch_size() > 0) spec.max_batch_size = from.max_batch_size();
  return spec;
}

}  // namespace

absl::StatusOr<TrainSpec> ReadSpec(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    return absl::NotFoundError(
        fmt::format("{} cannot be read; expected a training spec", file.string()));
  }
  std::ostringstream text;
  text << stream.rdbuf();
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  v1::TrainSpec proto;
  if (!parser.ParseFromString(text.str(), &proto)) {
    return Wrong(fmt::format("{}:{}", file.string(), error.text));
  }
  auto spec = Convert(proto, file.parent_path());
  if (!spec.ok()) {
    return Wrong(fmt::format("{}: {}", file.string(), std::string(spec.status().message())));
  }
  spec->text = text.str();
  return spec;
}

}  // namespace torchfleet::trainer
