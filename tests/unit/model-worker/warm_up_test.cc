#include "model-worker/load/warm_up.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>

#include "tests/fakes/fake_model.h"
#include "tests/fakes/temporary_folder.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;
using wire::DataType;

ModelSpec Spec() {
  ModelSpec spec;
  spec.name = "m";
  spec.max_batch_size = 8;
  spec.inputs = {{"x", DataType::kFp32, {-1, 2}}, {"hint", DataType::kInt32, {-1, 1}, true}};
  spec.outputs = {{"y", DataType::kFp32, {-1, 2}}};
  return spec;
}

absl::StatusOr<std::vector<WarmUpRun>> Runs(const std::string& text, const ModelSpec& spec = Spec(),
                                            const TemporaryFolder& folder = {}) {
  inference::ModelConfig config;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &config));
  return WarmUpRuns(config, spec, folder.path());
}

// One run whose input x is said so.
std::string X(const std::string& input, const std::string& beside = "batch_size: 3") {
  return "model_warmup { name: \"w\" " + beside + " inputs { key: \"x\" value { " + input +
         " } } }";
}

std::string Whole(const BatchInput& input) {
  std::string bytes(input.size(), '\0');
  input.CopyTo(bytes.data());
  return bytes;
}

template <typename Number>
std::vector<Number> Numbers(const std::string& bytes) {
  std::vector<Number> numbers(bytes.size() / sizeof(Number));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

TEST_CASE("WarmUp: none, and zeros, as often as it says", "[worker][load]") {
  CHECK(Runs("")->empty());
  const auto runs =
      Runs(X("data_type: TYPE_FP32 dims: 2 zero_data: true", "batch_size: 3 count: 5") +
           X("data_type: TYPE_FP32 dims: 2 zero_data: true", ""));
  REQUIRE(runs.ok());
  REQUIRE(runs->size() == 2);
  const WarmUpRun& run = runs->front();
  CHECK(run.name == "w");
  CHECK(run.count == 5);
  REQUIRE(run.inputs.size() == 2);
  CHECK(run.inputs[0].shape == std::vector<int64_t>{3, 2});
  CHECK(Whole(run.inputs[0]) == std::string(24, '\0'));
  CHECK(run.inputs[1].absent);
  CHECK(runs->back().count == 1);
  CHECK(runs->back().inputs[0].shape == std::vector<int64_t>{1, 2});
}

TEST_CASE("WarmUp: random numbers are in [0, 1) or 0 and 1, and the same each time",
          "[worker][load]") {
  const std::string text = X("data_type: TYPE_FP32 dims: 2 random_data: true");
  const auto runs = Runs(text);
  REQUIRE(runs.ok());
  const std::string bytes = Whole(runs->front().inputs[0]);
  CHECK(bytes == Whole(Runs(text)->front().inputs[0]));
  const auto numbers = Numbers<float>(bytes);
  CHECK(numbers.size() == 6);
  for (const float number : numbers) CHECK((number >= 0 && number < 1));
  for (const DataType type : wire::kAllDataTypes) {
    CAPTURE(wire::DataTypeName(type));
    ModelSpec spec = Spec();
    spec.inputs[0].type = type;
    const std::string name(type == DataType::kBytes ? "STRING" : wire::DataTypeName(type));
    const auto of_type = Runs(X("data_type: TYPE_" + name + " dims: 2 random_data: true"), spec);
    CHECK(Runs(X("dims: 2 random_data: true"), spec).ok());
    REQUIRE(of_type.ok());
    const std::string all = Whole(of_type->front().inputs[0]);
    CHECK(all.size() ==
          6 * std::max<size_t>(wire::ElementSize(type), type == DataType::kBytes ? 4 : 0));
    if (type != DataType::kInt64) continue;
    for (const int64_t number : Numbers<int64_t>(all)) CHECK((number == 0 || number == 1));
  }
}

TEST_CASE("WarmUp: bytes of a file in warmup/", "[worker][load]") {
  const TemporaryFolder folder;
  const std::string bytes = "0123456789abcdefghijklmn";
  folder.Write("warmup/x.raw", bytes);
  folder.Write("warmup/deep/short.raw", bytes.substr(1));
  folder.Write("outside.raw", bytes);
  const auto with = [&](const std::string& file, const ModelSpec& spec = Spec()) {
    return Runs(X("dims: 2 input_data_file: \"" + file + "\""), spec, folder);
  };
  REQUIRE(with("x.raw").ok());
  CHECK(Whole(with("x.raw")->front().inputs[0]) == bytes);
  for (const char* file : {"deep/short.raw", "gone.raw", "deep", ".", "x.raw/y"}) {
    CAPTURE(file);
    CHECK(absl::IsFailedPrecondition(with(file).status()));
  }
  for (const std::string& file :
       {std::string(), std::string("../outside.raw"), std::string("deep/../../outside.raw"),
        (folder.path() / "outside.raw").string()}) {
    CAPTURE(file);
    const absl::Status status = with(file).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()), ContainsSubstring("input_data_file"));
  }
}

TEST_CASE("WarmUp: strings of a file are what the shape says", "[worker][load]") {
  ModelSpec spec = Spec();
  spec.inputs[0].type = DataType::kBytes;
  const std::string one("\2\0\0\0ab", 6), empty(4, '\0'), wrong("\377\0\0\0ab", 6);
  const auto read = [&](const std::string& bytes) {
    const TemporaryFolder folder;
    folder.Write("warmup/s", bytes);
    return Runs(X("data_type: TYPE_STRING dims: 2 input_data_file: \"s\"", "batch_size: 1"), spec,
                folder)
        .status();
  };
  CHECK(read(one + empty).ok());
  for (const std::string& bytes : {std::string(), one, one + one + one, one + wrong, wrong + one,
                                   one + empty + "x", one + "\1"}) {
    const absl::Status status = read(bytes);
    CHECK(absl::IsFailedPrecondition(status));
    CHECK_THAT(std::string(status.message()), ContainsSubstring("'x'"));
  }
}

TEST_CASE("WarmUp: what the model does not take is INVALID_ARGUMENT with its name",
          "[worker][load]") {
  const std::string zero = " zero_data: true";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {X("data_type: TYPE_FP32 dims: 3" + zero), "'x' has shape [3,3]"},
      {X("data_type: TYPE_FP32 dims: [2, 1]" + zero), "'x' has shape [3,2,1]"},
      {X("data_type: TYPE_FP32 dims: -1" + zero), "'x' has shape [3,-1]"},
      {X("data_type: TYPE_FP32" + zero), "'x' has shape [3]"},
      {X("data_type: TYPE_FP64 dims: 2" + zero), "'x' is TYPE_FP64"},
      {X("data_type: TYPE_FP32 dims: 2" + zero, "batch_size: 9"), "batch_size is 9"},
      {"model_warmup { name: \"w\" batch_size: 1 }", "input 'x' is missing"},
      {"model_warmup { name: \"w\" inputs { key: \"x\" value { dims: 2 zero_data: true } } "
       "inputs { key: \"z\" value { dims: 2 zero_data: true } } }",
       "no input 'z'"}};
  for (const auto& [text, said] : cases) {
    CAPTURE(text);
    const absl::Status status = Runs(text).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()), ContainsSubstring("model_warmup 'w'"));
    CHECK_THAT(std::string(status.message()), ContainsSubstring(said));
  }
  // More than any machine should have to hold.
  ModelSpec spec = Spec();
  spec.inputs[0].shape = {-1, -1, -1};
  for (const char* dims : {"[1000000, 1000000]", "[9223372036854775807, 4]"}) {
    const std::string text = X(std::string("data_type: TYPE_FP32 zero_data: true dims: ") + dims);
    CHECK(absl::IsInvalidArgument(Runs(text, spec).status()));
  }
}

TEST_CASE("WarmUp: the shape is the one inside the model", "[worker][load]") {
  ModelSpec spec = Spec();
  spec.inputs[0].inside = {{-1, 1, 2}};
  const auto runs = Runs(X("data_type: TYPE_FP32 dims: 2 zero_data: true"), spec);
  REQUIRE(runs.ok());
  CHECK(runs->front().inputs[0].shape == std::vector<int64_t>{3, 1, 2});
}

// Counts its runs.
class Counts : public Model {
 public:
  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>&,
                                                RunStages&) override {
    ++runs;
    return std::vector<OutputTensor>();
  }
  int runs = 0;
};

TEST_CASE("WarmUp: runs the model, and what it throws is FAILED_PRECONDITION", "[worker][load]") {
  const MonotonicClock clock;
  const auto runs = Runs(X("data_type: TYPE_FP32 dims: 2 zero_data: true", "count: 7"));
  REQUIRE(runs.ok());
  Counts counts;
  CHECK(WarmUp(counts, runs->front(), clock).ok());
  CHECK(counts.runs == 7);
  ModelSpec spec = Spec();
  spec.parameters["fake"] = "throw";
  const auto throwing = MakeFakeModel(spec);
  const absl::Status status = WarmUp(*throwing.value(), runs->front(), clock);
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), ContainsSubstring("model_warmup 'w' failed"));
  CHECK_THAT(std::string(status.message()), !ContainsSubstring("secret"));
  spec.parameters["fake"] = "bad_alloc";
  const auto large = MakeFakeModel(spec);
  CHECK_THROWS_AS(WarmUp(*large.value(), runs->front(), clock), std::bad_alloc);
}

}  // namespace
}  // namespace torchfleet::worker
