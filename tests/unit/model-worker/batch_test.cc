#include "model-worker/batch/batch.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>
#include <deque>
#include <random>

#include "model-worker/execute/output_check.h"
#include "model-worker/execute/reshape.h"
#include "tests/unit/model-worker/fake_request.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;
using wire::DataType;

template <typename Number>
std::string Bytes(const std::vector<Number>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}

template <typename Number>
std::vector<Number> Numbers(std::string_view bytes) {
  std::vector<Number> numbers(bytes.size() / sizeof(Number));
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

std::string Whole(const BatchInput& input) {
  std::string bytes(input.size(), '\0');
  input.CopyTo(bytes.data());
  return bytes;
}

// Each output is the input of the same place, or a zero for each row.
std::vector<OutputTensor> Echo(const ModelSpec& spec, const std::vector<BatchInput>& inputs,
                               int64_t rows) {
  std::vector<OutputTensor> outputs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const DataType type = spec.inputs[i].type;
    if (inputs[i].absent) {
      const size_t size = type == DataType::kBytes ? 4 : wire::ElementSize(type);
      outputs.push_back(
          OutputTensor::Own(type, {rows, 1}, std::string(static_cast<size_t>(rows) * size, '\0')));
    } else {
      outputs.push_back(OutputTensor::Own(type, inputs[i].shape, Whole(inputs[i])));
    }
  }
  return outputs;
}

// Requests of random bytes, which they keep.
class Requests {
 public:
  explicit Requests(uint32_t seed) : random_(seed) {}

  size_t Draw(size_t below) { return random_() % below; }
  std::string_view RandomBytes(DataType type, int64_t elements) {
    std::string& bytes = bytes_.emplace_back();
    for (int64_t i = 0; i < elements; ++i) {
      const auto length = static_cast<uint32_t>(Draw(6));
      const size_t size = type == DataType::kBytes ? length : wire::ElementSize(type);
      if (type == DataType::kBytes) bytes.append(Bytes<uint32_t>({length}));
      for (size_t k = 0; k < size; ++k) bytes.push_back(static_cast<char>(Draw(256)));
    }
    return bytes;
  }
  std::string_view Keep(std::string bytes) { return bytes_.emplace_back(std::move(bytes)); }
  FakeRequest& Add(CheckedRequest checked) { return all_.emplace_back(RequestTerms(), checked); }

 private:
  std::mt19937 random_;
  std::deque<std::string> bytes_;
  std::deque<FakeRequest> all_;
};

TEST_CASE("Batch: every request gets exactly its own rows back", "[worker][batch]") {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    Requests requests(seed);
    ModelSpec spec;
    spec.max_batch_size = 64;
    const size_t tensors = 1 + requests.Draw(3);
    std::vector<std::vector<int64_t>> tails;
    std::vector<bool> absent;
    for (size_t i = 0; i < tensors; ++i) {
      const DataType type = wire::kAllDataTypes[(seed + i) % wire::kAllDataTypes.size()];
      spec.inputs.push_back({std::to_string(i), type, {-1, -1}, true});
      spec.outputs.push_back({std::to_string(i), type, {-1, -1}});
      tails.push_back({static_cast<int64_t>(requests.Draw(4))});
      absent.push_back(i > 0 && requests.Draw(3) == 0);
    }
    Batch batch;
    std::vector<FakeRequest*> added;
    for (size_t n = 1 + requests.Draw(6); n > 0; --n) {
      const auto rows = static_cast<int64_t>(requests.Draw(4));
      CheckedRequest checked;
      checked.batch = rows;
      for (size_t i = 0; i < tensors; ++i) {
        const int64_t columns = tails[i][0];
        checked.inputs.push_back({{rows, columns},
                                  absent[i]
                                      ? std::string_view()
                                      : requests.RandomBytes(spec.inputs[i].type, rows * columns),
                                  absent[i]});
      }
      added.push_back(&requests.Add(std::move(checked)));
      batch.Add(*added.back());
      REQUIRE(CanShare(spec, added[0]->checked(), added.back()->checked()));
    }
    const auto outputs = Echo(spec, batch.Gather(spec), batch.rows());
    REQUIRE(CheckOutputs(spec, batch.rows(), outputs).ok());
    std::vector<std::vector<OutputTensor>> answers;
    REQUIRE(batch.Split(spec, outputs, answers).ok());
    REQUIRE(answers.size() == added.size());
    for (size_t r = 0; r < added.size(); ++r) {
      const CheckedRequest& checked = added[r]->checked();
      REQUIRE(answers[r].size() == tensors);
      for (size_t i = 0; i < tensors; ++i) {
        REQUIRE(answers[r][i].type == spec.inputs[i].type);
        REQUIRE(answers[r][i].shape[0] == checked.rows());
        if (absent[i]) continue;
        REQUIRE(answers[r][i].shape == checked.inputs[i].shape);
        REQUIRE(answers[r][i].bytes == checked.inputs[i].bytes);
      }
    }
  }
}

TEST_CASE("Batch: requests share one only with the same inputs and shapes", "[worker][batch]") {
  ModelSpec spec;
  spec.max_batch_size = 8;
  spec.inputs = {{"x", DataType::kUint8, {-1, -1}}, {"y", DataType::kUint8, {-1, 1}, true}};
  const auto request = [](int64_t rows, int64_t columns, bool with_y) {
    CheckedRequest checked;
    checked.batch = rows;
    checked.inputs = {{{rows, columns}, {}, false}, {{rows, 1}, {}, !with_y}};
    return checked;
  };
  CHECK(CanShare(spec, request(1, 4, true), request(3, 4, true)));
  CHECK(CanShare(spec, request(1, 4, false), request(0, 4, false)));
  CHECK_FALSE(CanShare(spec, request(1, 4, true), request(1, 5, true)));
  CHECK_FALSE(CanShare(spec, request(1, 4, true), request(1, 4, false)));
  spec.max_batch_size = 0;
  CHECK_FALSE(CanShare(spec, request(1, 4, true), request(1, 4, true)));
}

// Token ids of unequal lengths, with a mask and lengths that the worker makes.
ModelSpec Tokens(DataType mask, DataType lengths) {
  ModelSpec spec;
  spec.max_batch_size = 64;
  spec.inputs = {{"ids", DataType::kInt64, {-1, -1}},
                 {"mask", mask, {-1, -1}},
                 {"lengths", lengths, {-1, 1}},
                 {"wide", DataType::kInt32, {-1, 3, -1, 2}}};
  spec.outputs = spec.inputs;
  spec.lengths.inputs = {1, 1, std::nullopt, 2};
  spec.lengths.outputs = {1, 1, std::nullopt, 2};
  spec.lengths.padding = {Bytes<int64_t>({99}), std::string(wire::ElementSize(mask), '\0'),
                          std::string(wire::ElementSize(lengths), '\0'), Bytes<int32_t>({-7})};
  spec.lengths.mask = 1;
  spec.lengths.lengths = 2;
  return spec;
}

template <typename Number>
void CheckAll(std::string_view bytes, size_t count, int64_t value) {
  REQUIRE(Numbers<Number>(bytes) == std::vector<Number>(count, static_cast<Number>(value)));
}

void CheckAll(DataType type, std::string_view bytes, int64_t count, int64_t value) {
  const auto number = static_cast<size_t>(count);
  if (type == DataType::kInt64) return CheckAll<int64_t>(bytes, number, value);
  if (type == DataType::kInt32) return CheckAll<int32_t>(bytes, number, value);
  if (type == DataType::kFp32) return CheckAll<float>(bytes, number, value);
  CheckAll<char>(bytes, number, value);
}

TEST_CASE("Batch: unequal lengths are padded, told apart, and cut back", "[worker][batch]") {
  const DataType mask =
      GENERATE(DataType::kInt64, DataType::kInt32, DataType::kFp32, DataType::kBool);
  const DataType lengths = GENERATE(DataType::kInt64, DataType::kInt32, DataType::kFp32);
  const ModelSpec spec = Tokens(mask, lengths);
  for (uint32_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    Requests requests(seed);
    Batch batch;
    std::vector<FakeRequest*> added;
    int64_t own = 0, longest = 0;
    for (size_t n = 1 + requests.Draw(5); n > 0; --n) {
      const auto rows = static_cast<int64_t>(requests.Draw(4));
      CheckedRequest checked;
      checked.batch = rows;
      checked.length = static_cast<int64_t>(1 + requests.Draw(5));
      const int64_t length = checked.length;
      checked.inputs = {
          {{rows, length}, requests.RandomBytes(DataType::kInt64, rows * length)},
          {{}, {}, true},
          {{}, {}, true},
          {{rows, 3, length, 2}, requests.RandomBytes(DataType::kInt32, rows * length * 6)}};
      own += rows * length;
      longest = std::max(longest, length);
      added.push_back(&requests.Add(std::move(checked)));
      batch.Add(*added.back());
      REQUIRE(CanShare(spec, added[0]->checked(), added.back()->checked()));
    }
    CHECK(batch.elements() == batch.rows() * longest);
    CHECK(batch.padding() == batch.elements() - own);
    const auto outputs = Echo(spec, batch.Gather(spec), batch.rows());
    REQUIRE(CheckOutputs(spec, batch.rows(), outputs).ok());
    REQUIRE(outputs[0].shape == std::vector<int64_t>{batch.rows(), longest});
    std::vector<std::vector<OutputTensor>> answers;
    REQUIRE(batch.Split(spec, outputs, answers).ok());
    for (size_t r = 0; r < added.size(); ++r) {
      const CheckedRequest& checked = added[r]->checked();
      for (const size_t i : {size_t{0}, size_t{3}}) {
        REQUIRE(answers[r][i].shape == checked.inputs[i].shape);
        REQUIRE(answers[r][i].bytes == checked.inputs[i].bytes);
      }
      const int64_t elements = checked.rows() * checked.length;
      CheckAll(mask, answers[r][1].bytes, elements, 1);
      CheckAll(lengths, answers[r][2].bytes, checked.rows(), checked.length);
    }
  }
}

TEST_CASE("Batch: what fills up a row is the padding, and the mask says so", "[worker][batch]") {
  const ModelSpec spec = Tokens(DataType::kInt64, DataType::kInt32);
  Requests requests(1);
  Batch batch;
  for (const int64_t length : {2, 4, 1}) {
    CheckedRequest checked;
    checked.batch = 1;
    checked.length = length;
    const std::vector<int64_t> ids(static_cast<size_t>(length), 10 + length);
    // The second brings its own mask.
    const bool brings = length == 4;
    checked.inputs = {
        {{1, length}, requests.Keep(Bytes(ids))},
        {{1, length}, requests.Keep(brings ? Bytes<int64_t>({1, 1, 0, 0}) : ""), !brings},
        {{}, {}, true},
        {{1, 3, length, 2}, requests.RandomBytes(DataType::kInt32, length * 6)}};
    batch.Add(requests.Add(std::move(checked)));
  }
  const std::vector<BatchInput>& inputs = batch.Gather(spec);
  CHECK(inputs[0].shape == std::vector<int64_t>{3, 4});
  CHECK(Numbers<int64_t>(Whole(inputs[0])) ==
        std::vector<int64_t>{12, 12, 99, 99, 14, 14, 14, 14, 11, 99, 99, 99});
  CHECK(Numbers<int64_t>(Whole(inputs[1])) ==
        std::vector<int64_t>{1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0});
  CHECK(inputs[2].shape == std::vector<int64_t>{3, 1});
  CHECK(Numbers<int32_t>(Whole(inputs[2])) == std::vector<int32_t>{2, 4, 1});
  const auto wide = Numbers<int32_t>(Whole(inputs[3]));
  CHECK(wide.size() == 3 * 3 * 4 * 2);
  CHECK(wide[4] == -7);
}

TEST_CASE("Batch: an output that is not as long as it should be is refused", "[worker][batch]") {
  const ModelSpec spec = Tokens(DataType::kInt64, DataType::kInt32);
  Requests requests(1);
  Batch batch;
  for (const int64_t length : {2, 4}) {
    CheckedRequest checked;
    checked.batch = 1;
    checked.length = length;
    checked.inputs = {{{1, length}, requests.RandomBytes(DataType::kInt64, length)},
                      {{}, {}, true},
                      {{}, {}, true},
                      {{1, 3, length, 2}, requests.RandomBytes(DataType::kInt32, length * 6)}};
    batch.Add(requests.Add(std::move(checked)));
  }
  auto outputs = Echo(spec, batch.Gather(spec), batch.rows());
  outputs[0] = OutputTensor::Own(DataType::kInt64, {2, 3}, std::string(48, '\0'));
  std::vector<std::vector<OutputTensor>> answers;
  const absl::Status status = batch.Split(spec, outputs, answers);
  CHECK(absl::IsInternal(status));
  CHECK_THAT(std::string(status.message()), ContainsSubstring("output 'ids'"));
  CHECK_THAT(std::string(status.message()), ContainsSubstring("[2,3]"));
}

TEST_CASE("Batch: strings that end too early are refused, not read", "[worker][batch]") {
  ModelSpec spec;
  spec.max_batch_size = 8;
  spec.inputs = spec.outputs = {{"s", DataType::kBytes, {-1, 1}}};
  Requests requests(1);
  Batch batch;
  for (int i = 0; i < 2; ++i) {
    CheckedRequest checked;
    checked.batch = 1;
    checked.inputs = {{{1, 1}, requests.Keep(Bytes<uint32_t>({0}))}};
    batch.Add(requests.Add(std::move(checked)));
  }
  const std::string empty = Bytes<uint32_t>({0}), long_one = Bytes<uint32_t>({~0u});
  std::vector<std::vector<OutputTensor>> answers;
  for (const std::string& bytes : {std::string(), empty, empty + long_one, long_one + empty,
                                   empty + "ab", empty + empty + empty}) {
    const auto output = OutputTensor::Own(DataType::kBytes, {2, 1}, bytes);
    CHECK(absl::IsInternal(batch.Split(spec, {output}, answers)));
  }
  CHECK(batch.Split(spec, {OutputTensor::Own(DataType::kBytes, {2, 1}, empty + empty)}, answers)
            .ok());
}

TEST_CASE("Batch: a reshape inside the model", "[worker][batch]") {
  ModelSpec spec;
  spec.max_batch_size = 8;
  spec.inputs = {{"x", DataType::kUint8, {-1, 6}}, {"y", DataType::kUint8, {-1, 1}}};
  spec.inputs[0].inside = {{-1, 2, 3}};
  spec.inputs[1].inside = {{-1}};
  Requests requests(1);
  Batch batch;
  for (const int64_t rows : {2, 0, 3}) {
    CheckedRequest checked;
    checked.batch = rows;
    checked.inputs = {{{rows, 6}, requests.RandomBytes(DataType::kUint8, rows * 6)},
                      {{rows, 1}, requests.RandomBytes(DataType::kUint8, rows)}};
    batch.Add(requests.Add(std::move(checked)));
  }
  const std::vector<BatchInput>& inputs = batch.Gather(spec);
  CHECK(inputs[0].shape == std::vector<int64_t>{5, 2, 3});
  CHECK(inputs[1].shape == std::vector<int64_t>{5});
  CHECK(Whole(inputs[0]).size() == 30);
  CHECK(Reshaped({-1, 2, 3}, {-1, 6}, {5, 2, 3}) == std::vector<int64_t>{5, 6});
  CHECK(Reshaped({-1, 2, -1}, {-1, -1, 1, 2}, {5, 2, 7}) == std::vector<int64_t>{5, 7, 1, 2});
}

TEST_CASE("Batch: dimensions whose product is beyond all numbers, beside a zero",
          "[worker][batch]") {
  ModelSpec spec;
  spec.max_batch_size = 8;
  spec.inputs = spec.outputs = {{"x", DataType::kFp64, {-1, -1, -1, -1}}};
  Requests requests(1);
  Batch batch;
  const int64_t huge = int64_t{1} << 40;
  for (int i = 0; i < 2; ++i) {
    CheckedRequest checked;
    checked.batch = 1;
    checked.inputs = {{{1, huge, huge, 0}, {}}};
    batch.Add(requests.Add(std::move(checked)));
  }
  const auto outputs = Echo(spec, batch.Gather(spec), batch.rows());
  CHECK(CheckOutputs(spec, 2, outputs).ok());
  std::vector<std::vector<OutputTensor>> answers;
  REQUIRE(batch.Split(spec, outputs, answers).ok());
  CHECK(answers[1][0].shape == std::vector<int64_t>{1, huge, huge, 0});
}

}  // namespace
}  // namespace torchfleet::worker
