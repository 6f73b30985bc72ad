#include "model-worker/load/serving_rules.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <cstring>

#include "absl/status/statusor.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;
using wire::DataType;

// With the tensors that every case has, and what config.pbtxt says beside them.
absl::StatusOr<ModelSpec> Read(const std::string& text, int64_t max_batch_size = 16) {
  inference::ModelConfig config;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, &config));
  ModelSpec spec;
  spec.max_batch_size = max_batch_size;
  spec.inputs = {{"ids", DataType::kInt64, {-1, -1}},  {"mask", DataType::kInt64, {-1, -1}},
                 {"lengths", DataType::kInt32, {-1}},  {"text", DataType::kBytes, {-1, -1}},
                 {"fixed", DataType::kFp32, {-1, 3}},  {"small", DataType::kInt32, {-1, -1}},
                 {"bits", DataType::kUint8, {-1, -1}}, {"half", DataType::kFp32, {-1, -1}},
                 {"shaped", DataType::kFp32, {-1, -1}}};
  spec.inputs.back().inside = {{-1, -1, 1}};
  spec.outputs = {{"logits", DataType::kFp32, {-1, -1, 7}}, {"label", DataType::kInt64, {-1, 1}}};
  for (const auto& [name, value] : config.parameters()) {
    spec.parameters[name] = value.string_value();
  }
  const absl::Status status = ReadServingRules(config, spec);
  if (!status.ok()) return status;
  return spec;
}

std::string Parameter(const std::string& name, const std::string& value) {
  return "parameters { key: \"" + name + "\" value { string_value: \"" + value + "\" } }\n";
}

TEST_CASE("ServingRules: without any word, batches of what pays", "[worker][load]") {
  const auto spec = Read("");
  REQUIRE(spec.ok());
  CHECK(spec->batching.most == 16);
  CHECK_FALSE(spec->batching.delay.has_value());
  CHECK(spec->line.levels.size() == 1);
  CHECK(spec->line.levels[0].timeout == absl::InfiniteDuration());
  CHECK_FALSE(spec->line.priorities);
  CHECK_FALSE(spec->line.in_order);
  CHECK_FALSE(spec->lengths.any());
  CHECK(spec->cpus.empty());
  CHECK(Read("", 0)->batching.most == 0);
}

TEST_CASE("ServingRules: adaptive batching can be turned off", "[worker][load]") {
  const std::string off = Parameter("ADAPTIVE_BATCHING", "false");
  CHECK(Read(off)->batching.most == 1);
  const auto dynamic = Read(off + "dynamic_batching {}");
  CHECK(dynamic->batching.most == 16);
  CHECK(dynamic->batching.delay == absl::ZeroDuration());
  CHECK(Read(Parameter("ADAPTIVE_BATCHING", "true"))->batching.most == 16);
}

TEST_CASE("ServingRules: sizes and delays of dynamic batching", "[worker][load]") {
  const auto spec = Read(
      "dynamic_batching { preferred_batch_size: [8, 2] max_queue_delay_microseconds: 500 "
      "preserve_ordering: true }");
  REQUIRE(spec.ok());
  CHECK(spec->batching.preferred == std::vector<int64_t>{2, 8});
  CHECK(spec->batching.delay == absl::Microseconds(500));
  CHECK(spec->line.in_order);
  // Whatever the number, it can be added to a moment.
  const auto longest =
      Read("dynamic_batching { max_queue_delay_microseconds: 18446744073709551615 }");
  CHECK(longest->batching.delay == absl::Hours(24));
}

TEST_CASE("ServingRules: levels and how each waits", "[worker][load]") {
  const auto spec = Read(R"(dynamic_batching {
    priority_levels: 3 default_priority_level: 2
    default_queue_policy { default_timeout_microseconds: 1000 max_queue_size: 5 }
    priority_queue_policy { key: 3 value {
      timeout_action: DELAY allow_timeout_override: true
      default_timeout_microseconds: 18446744073709551615 } } })");
  REQUIRE(spec.ok());
  const LineRules& line = spec->line;
  CHECK(line.priorities);
  CHECK(line.default_level == 1);
  REQUIRE(line.levels.size() == 3);
  for (const size_t level : {size_t{0}, size_t{1}}) {
    CHECK(line.levels[level].overdue == LevelRules::Overdue::kReject);
    CHECK(line.levels[level].timeout == absl::Milliseconds(1));
    CHECK(line.levels[level].most == 5);
    CHECK_FALSE(line.levels[level].own_timeouts);
  }
  CHECK(line.levels[2].overdue == LevelRules::Overdue::kDelay);
  CHECK(line.levels[2].own_timeouts);
  CHECK(line.levels[2].most == 0);
  CHECK(line.levels[2].timeout > absl::Hours(24 * 365));
  CHECK(line.levels[2].timeout < absl::Hours(24 * 365 * 101));
}

template <typename Number>
std::string Bytes(Number number) {
  return std::string(reinterpret_cast<const char*>(&number), sizeof number);
}

TEST_CASE("ServingRules: inputs that are padded, and with what", "[worker][load]") {
  const auto spec = Read(Parameter("PADDED_INPUTS", "ids:1, small:1 ,bits:1,half:1") +
                         Parameter("PADDED_OUTPUTS", "logits:1") +
                         Parameter("PADDING_VALUES", "ids:102,small:-5,half:-inf") +
                         Parameter("MASK_INPUT", "mask") + Parameter("LENGTHS_INPUT", "lengths") +
                         Parameter("MAX_PADDING_PERCENT", "25"));
  REQUIRE(spec.ok());
  const LengthRules& lengths = spec->lengths;
  CHECK(lengths.any());
  CHECK(lengths.inputs[0] == 1);
  CHECK(lengths.inputs[1] == 1);
  CHECK_FALSE(lengths.inputs[2].has_value());
  CHECK(lengths.outputs == std::vector<std::optional<size_t>>{1, std::nullopt});
  CHECK(lengths.mask == 1);
  CHECK(lengths.lengths == 2);
  CHECK(lengths.made(1));
  CHECK(lengths.made(2));
  CHECK_FALSE(lengths.made(0));
  CHECK(lengths.padding[0] == Bytes<int64_t>(102));
  CHECK(lengths.padding[1] == Bytes<int64_t>(0));
  CHECK(lengths.padding[5] == Bytes<int32_t>(-5));
  CHECK(lengths.padding[6] == Bytes<uint8_t>(0));
  CHECK(lengths.padding[7] == Bytes<float>(-INFINITY));
  CHECK(lengths.most_padding == 0.25);
  const std::string padded = Parameter("PADDED_INPUTS", "ids:1,small:1");
  CHECK(Read(padded + Parameter("PADDING_VALUES", "small:2147483647")).ok());
  CHECK(Read(padded + Parameter("PADDING_VALUES", "ids:-9223372036854775808")).ok());
}

TEST_CASE("ServingRules: CPUs", "[worker][load]") {
  CHECK(Read(Parameter("CPUS", "0-1,3"))->cpus == std::vector<int>{0, 1, 3});
}

TEST_CASE("ServingRules: what contradicts itself is INVALID_ARGUMENT with the field",
          "[worker][load]") {
  const std::string padded = Parameter("PADDED_INPUTS", "ids:1");
  struct Case {
    std::string text, field, came;
  };
  std::vector<Case> cases = {
      {"dynamic_batching { priority_levels: 2 }", "default_priority_level", "0"},
      {"dynamic_batching { priority_levels: 2 default_priority_level: 3 }",
       "default_priority_level", "3"},
      {"dynamic_batching { priority_levels: 1001 default_priority_level: 1 }", "priority_levels",
       "1001"},
      {"dynamic_batching { priority_levels: 2 default_priority_level: 1 "
       "priority_queue_policy { key: 3 value {} } }",
       "priority_queue_policy", "3"},
      {"dynamic_batching { priority_queue_policy { key: 0 value {} } }", "priority_queue_policy",
       "0"},
      {"dynamic_batching { preferred_batch_size: 17 }", "preferred_batch_size", "17"},
      {"dynamic_batching { preferred_batch_size: 0 }", "preferred_batch_size", "0"},
      {"dynamic_batching { preferred_batch_size: -4 }", "preferred_batch_size", "-4"},
      {Parameter("ADAPTIVE_BATCHING", "maybe"), "ADAPTIVE_BATCHING", "maybe"},
      {Parameter("CPUS", "none"), "CPUS", "none"},
      {Parameter("LENGTHS_INPUT", "lengths"), "LENGTHS_INPUT", "PADDED_INPUTS"},
      {Parameter("MASK_INPUT", "mask"), "MASK_INPUT", "PADDED_INPUTS"},
      {Parameter("PADDED_OUTPUTS", "logits:1"), "PADDED_OUTPUTS", "PADDED_INPUTS"},
      {Parameter("PADDING_VALUES", "ids:1"), "PADDING_VALUES", "PADDED_INPUTS"},
      {Parameter("MAX_PADDING_PERCENT", "5"), "MAX_PADDING_PERCENT", "PADDED_INPUTS"},
      {padded + Parameter("PADDED_OUTPUTS", "label:1"), "PADDED_OUTPUTS", "label"},
      {padded + Parameter("MASK_INPUT", "text"), "MASK_INPUT", "BYTES"},
      {padded + Parameter("MASK_INPUT", "nobody"), "MASK_INPUT", "nobody"},
      {padded + Parameter("LENGTHS_INPUT", "ids"), "LENGTHS_INPUT", "ids"},
      {padded + Parameter("PADDING_VALUES", "bits:1"), "PADDING_VALUES", "UINT8"},
      {padded + Parameter("PADDING_VALUES", "nobody:1"), "PADDING_VALUES", "nobody"}};
  for (const char* dimension :
       {"ids:0", "ids:2", "ids:-1", "ids:x", "ids:", "ids", "", "text:1", "fixed:1", "shaped:1",
        "nobody:1", "ids:1.5", "ids:nan", "ids:inf", "ids:1e30", "ids:1,,"}) {
    cases.push_back({Parameter("PADDED_INPUTS", dimension), "PADDED_INPUTS", ""});
  }
  for (const char* value : {"ids:1.5", "ids:1e30", "ids:nan", "ids:9223372036854775808",
                            "small:2147483648", "small:inf", "half:1e39", "ids:x"}) {
    cases.push_back({padded + Parameter("PADDING_VALUES", value), "PADDING_VALUES", ""});
  }
  for (const char* percent : {"-1", "100", "nan", "ten", ""}) {
    cases.push_back(
        {padded + Parameter("MAX_PADDING_PERCENT", percent), "MAX_PADDING_PERCENT", ""});
  }
  for (const auto& [text, field, came] : cases) {
    CAPTURE(text);
    const absl::Status status = Read(text).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()), ContainsSubstring(field));
    CHECK_THAT(std::string(status.message()), ContainsSubstring(came));
  }
  CHECK(absl::IsInvalidArgument(Read(padded, 0).status()));
}

TEST_CASE("ServingRules: a mask cannot tell lengths as well", "[worker][load]") {
  // Both have a shape of one column that varies or not.
  const auto status = Read(Parameter("PADDED_INPUTS", "ids:1") + Parameter("MASK_INPUT", "mask") +
                           Parameter("LENGTHS_INPUT", "mask"))
                          .status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK_THAT(std::string(status.message()), ContainsSubstring("LENGTHS_INPUT"));
}

}  // namespace
}  // namespace torchfleet::worker
