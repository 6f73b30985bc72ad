#include "trainer/network/shapes.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::trainer {
namespace {

using Kind = LayerSpec::Kind;
using Shape = std::vector<int64_t>;

TrainSpec ASpec(Shape input, std::vector<LayerSpec> layers, LossKind loss = LossKind::kMse) {
  TrainSpec spec;
  spec.input_shape = std::move(input);
  spec.layers = std::move(layers);
  spec.loss = loss;
  return spec;
}

LayerSpec Dense(int64_t units) { return {.kind = Kind::kDense, .units = units}; }

TEST_CASE("InferShapes: a convolutional network", "[trainer][network]") {
  const auto shapes =
      InferShapes(ASpec({1, 28, 28},
                        {{.kind = Kind::kConv2d, .units = 8, .kernel = 3, .padding = 1},
                         {.kind = Kind::kBatchNorm},
                         {.kind = Kind::kRelu},
                         {.kind = Kind::kMaxPool2d, .kernel = 2, .stride = 2},
                         {.kind = Kind::kConv2d, .units = 16, .kernel = 5, .stride = 2},
                         {.kind = Kind::kFlatten},
                         {.kind = Kind::kDropout, .rate = 0.5},
                         Dense(10),
                         {.kind = Kind::kSoftmax}},
                        LossKind::kSparseCrossEntropy));
  REQUIRE(shapes.ok());
  CHECK(*shapes == std::vector<Shape>{{1, 28, 28},
                                      {8, 28, 28},
                                      {8, 28, 28},
                                      {8, 28, 28},
                                      {8, 14, 14},
                                      {16, 5, 5},
                                      {400},
                                      {400},
                                      {10},
                                      {10}});
  CHECK(ValueCount({16, 5, 5}) == 400);
}

TEST_CASE("InferShapes: names the layer that cannot be, and what it needs", "[trainer][network]") {
  struct Row {
    TrainSpec spec;
    const char* says;
  };
  const Row rows[] = {
      {ASpec({1, 28, 28}, {Dense(10)}), "layers[0] gets records of shape [1, 28, 28]"},
      {ASpec({784}, {Dense(64), {.kind = Kind::kConv2d, .units = 1, .kernel = 3}}), "layers[1]"},
      {ASpec({1, 4, 4}, {{.kind = Kind::kConv2d, .units = 1, .kernel = 5}}), "kernel 5 is larger"},
      {ASpec({4, 4}, {{.kind = Kind::kBatchNorm}}), "batch_norm takes"},
      {ASpec({4}, {{.kind = Kind::kSoftmax}, Dense(2)}), "layers[0] is softmax"},
      {ASpec({1, 4, 4}, {{.kind = Kind::kRelu}}), "expected one dimension"},
      {ASpec({4}, {Dense(1)}, LossKind::kSparseCrossEntropy), "two or more classes"},
      {ASpec({int64_t{1} << 32, int64_t{1} << 32}, {{.kind = Kind::kFlatten}}), "input_shape is"},
      {ASpec({int64_t{1} << 20, int64_t{1} << 20, 2}, {{.kind = Kind::kFlatten}}), "2^40"},
      {ASpec({1, 1, 1}, {{.kind = Kind::kConv2d, .units = 1 << 20, .kernel = 1, .padding = 1 << 20},
                         {.kind = Kind::kFlatten}}),
       "layers[0] gives records of shape"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.says);
    const absl::Status status = InferShapes(row.spec).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find(row.says) != std::string::npos);
  }
}

TEST_CASE("CheckBatches: batch_norm never gets a single value", "[trainer][network]") {
  struct Row {
    size_t records;
    uint32_t batch_size;
    bool fits;
  };
  const Row rows[] = {{32, 16, true}, {33, 16, false}, {34, 16, true}, {16, 32, true},
                      {1, 32, false}, {32, 1, false},  {3, 2, false},  {1, 1, false}};
  const TrainSpec features = ASpec({4}, {Dense(2), {.kind = Kind::kBatchNorm}});
  const TrainSpec pixels = ASpec({2, 1, 1}, {{.kind = Kind::kBatchNorm}, {.kind = Kind::kFlatten}});
  const TrainSpec planes = ASpec({2, 1, 2}, {{.kind = Kind::kBatchNorm}, {.kind = Kind::kFlatten}});
  const TrainSpec none = ASpec({4}, {Dense(2)});
  const auto check = [](TrainSpec spec, const Row& row) {
    spec.batch_size = row.batch_size;
    return CheckBatches(spec, *InferShapes(spec), row.records);
  };
  for (const Row& row : rows) {
    CAPTURE(row.records, row.batch_size);
    CHECK(check(features, row).ok() == row.fits);
    CHECK(check(pixels, row).ok() == row.fits);
    CHECK(check(planes, row).ok());
    CHECK(check(none, row).ok());
  }
  const absl::Status status = check(features, {33, 16, false});
  CHECK(absl::IsInvalidArgument(status));
  const std::string message(status.message());
  for (const char* part : {"layers[1]", "33", "16", "batch_size"}) {
    CHECK(message.find(part) != std::string::npos);
  }
}

}  // namespace
}  // namespace torchfleet::trainer
