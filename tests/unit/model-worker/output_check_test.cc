#include "model-worker/execute/output_check.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;
using wire::DataType;

ModelSpec Spec() {
  ModelSpec spec;
  spec.name = "digits";
  spec.max_batch_size = 8;
  spec.outputs = {{"y", DataType::kFp32, {-1, 10}}, {"top", DataType::kInt64, {-1, -1}}};
  return spec;
}

std::vector<OutputTensor> Outputs() {
  static const std::string bytes(80, '\0');
  return {{DataType::kFp32, {2, 10}, bytes, nullptr},
          {DataType::kInt64, {2, 3}, std::string_view(bytes).substr(0, 48), nullptr}};
}

TEST_CASE("CheckOutputs: what keeps the promise passes", "[worker][output]") {
  CHECK(CheckOutputs(Spec(), 2, Outputs()).ok());
}

TEST_CASE("CheckOutputs: INTERNAL for what breaks it, naming both sides", "[worker][output]") {
  struct Row {
    void (*change)(std::vector<OutputTensor>&);
    const char* says;
  };
  const Row rows[] = {
      {[](auto& outputs) { outputs.pop_back(); }, "gave 1 outputs; its configuration says 2"},
      {[](auto& outputs) { outputs.push_back(outputs[0]); }, "gave 3 outputs"},
      {[](auto& outputs) { outputs[0].type = DataType::kFp64; }, "gave FP64"},
      {[](auto& outputs) {
         outputs[0].shape = {2, 10, 1};
       },
       "gave shape [2,10,1]"},
      {[](auto& outputs) {
         outputs[0].shape = {2, 9};
       },
       "configuration says [2,10]"},
      {[](auto& outputs) {
         outputs[0].shape = {3, 10};
       },
       "configuration says [2,10]"},
      {[](auto& outputs) { outputs[0].shape = {}; }, "gave shape []"},
      {[](auto& outputs) {
         outputs[1].shape = {1, 3};
       },
       "output 'top'"},
      {[](auto& outputs) { outputs[0].bytes.remove_suffix(1); },
       "gave 79 bytes for shape [2,10] of FP32"},
      {[](auto& outputs) { outputs[1].bytes = {}; }, "gave 0 bytes for shape [2,3] of INT64"},
  };
  for (const Row& row : rows) {
    auto outputs = Outputs();
    row.change(outputs);
    const absl::Status status = CheckOutputs(Spec(), 2, outputs);
    CHECK(absl::IsInternal(status));
    CHECK_THAT(std::string(status.message()), ContainsSubstring(row.says));
  }
}

TEST_CASE("CheckOutputs: without a batch the first dimension is like others", "[worker][output]") {
  ModelSpec spec = Spec();
  spec.max_batch_size = 0;
  spec.outputs = {{"y", DataType::kFp32, {4}}, {"n", DataType::kFp32, {}}};
  const std::string sixteen(16, '\0'), twelve(12, '\0'), four(4, '\0');
  CHECK(
      CheckOutputs(spec, std::nullopt,
                   {{DataType::kFp32, {4}, sixteen, nullptr}, {DataType::kFp32, {}, four, nullptr}})
          .ok());
  CHECK_FALSE(
      CheckOutputs(spec, std::nullopt,
                   {{DataType::kFp32, {3}, twelve, nullptr}, {DataType::kFp32, {}, four, nullptr}})
          .ok());
}

}  // namespace
}  // namespace torchfleet::worker
