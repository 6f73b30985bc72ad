#include "model-worker/front/request_check.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>
#include <limits>
#include <random>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;
using wire::DataType;

// x: [-1,4] FP32; mask: [-1,-1] BOOL, optional.
ModelSpec Spec() {
  ModelSpec spec;
  spec.name = "digits";
  spec.max_batch_size = 8;
  spec.inputs = {{"x", DataType::kFp32, {-1, 4}}, {"mask", DataType::kBool, {-1, -1}, true}};
  spec.outputs = {{"y", DataType::kFp32, {-1, 10}}, {"z", DataType::kFp32, {-1, 2}}};
  return spec;
}

ModelSpec Texts() {
  ModelSpec spec;
  spec.name = "texts";
  spec.inputs = {{"text", DataType::kBytes, {-1}}};
  spec.outputs = {{"length", DataType::kInt64, {-1}}};
  return spec;
}

const std::string kRow(16, '\0');

std::string Element(uint32_t length, std::string_view data) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + std::string(data);
}

struct Wrong {
  const char* name;
  std::vector<ClaimedInput> inputs;
  std::vector<std::string_view> outputs;
  const char* field;
  std::vector<std::string> says;
};

void CheckRefused(const ModelSpec& spec, const Wrong& row) {
  INFO(row.name);
  const auto checked = CheckRequest(spec, row.inputs, row.outputs);
  REQUIRE(checked.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(BadField(checked.status()).value_or("") == row.field);
  for (const std::string& text : row.says) {
    CHECK_THAT(std::string(checked.status().message()), ContainsSubstring(text));
  }
}

TEST_CASE("CheckRequest: a right request comes out as the model lists it", "[worker][check]") {
  const std::string two_rows(32, 'x');
  const auto checked = CheckRequest(
      Spec(), {{"mask", "BOOL", {2, 3}, "abcdef"}, {"x", "FP32", {2, 4}, two_rows}}, {"z", "y"});
  REQUIRE(checked.ok());
  CHECK(checked->batch == 2);
  CHECK(checked->inputs[0].bytes.data() == two_rows.data());
  CHECK(checked->inputs[1].bytes == "abcdef");
  CHECK(checked->outputs == std::vector<size_t>{1, 0});
}

TEST_CASE("CheckRequest: no output named means all; an optional input may be missing",
          "[worker][check]") {
  const auto checked = CheckRequest(Spec(), {{"x", "FP32", {1, 4}, kRow}}, {});
  REQUIRE(checked.ok());
  CHECK(checked->outputs == std::vector<size_t>{0, 1});
  CHECK_FALSE(checked->inputs[0].absent);
  CHECK(checked->inputs[1].absent);
}

TEST_CASE("CheckRequest: refuses datatype, rank and fixed dimensions", "[worker][check]") {
  const Wrong rows[] = {
      {"datatype", {{"x", "FP64", {1, 4}, kRow}}, {}, "inputs[x].datatype", {"FP64", "FP32"}},
      {"no datatype", {{"x", "", {1, 4}, kRow}}, {}, "inputs[x].datatype", {"FP32"}},
      {"unknown type", {{"x", "fp32", {1, 4}, kRow}}, {}, "inputs[x].datatype", {"fp32"}},
      {"rank", {{"x", "FP32", {4}, kRow}}, {}, "inputs[x].shape", {"[4]", "[-1,4]"}},
      {"no shape", {{"x", "FP32", {}, kRow}}, {}, "inputs[x].shape", {"[]", "[-1,4]"}},
      {"more", {{"x", "FP32", {1, 1, 4}, kRow}}, {}, "inputs[x].shape", {"[1,1,4]"}},
      {"fixed", {{"x", "FP32", {1, 5}, kRow}}, {}, "inputs[x].shape", {"[1,5]", "[-1,4]"}},
  };
  for (const Wrong& row : rows) CheckRefused(Spec(), row);
}

TEST_CASE("CheckRequest: refuses negative and overflowing dimensions", "[worker][check]") {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  const ClaimedInput x{"x", "FP32", {1, 4}, kRow};
  const Wrong rows[] = {
      {"negative", {{"x", "FP32", {-1, 4}, kRow}}, {}, "inputs[x].shape", {"[-1,4]", "negative"}},
      {"both", {{"x", "FP32", {-1, -4}, kRow}}, {}, "inputs[x].shape", {"negative"}},
      {"least", {{"x", "FP32", {kLeast, 4}, kRow}}, {}, "inputs[x].shape", {"negative"}},
      {"product", {{"x", "FP32", {kMost, 4}, kRow}}, {}, "inputs[x].shape", {"int64"}},
      {"large", {x, {"mask", "BOOL", {1, kMost}, kRow}}, {}, "inputs[mask]", {"takes"}},
      {"2^40", {x, {"mask", "BOOL", {1, int64_t{1} << 40}, "a"}}, {}, "inputs[mask]", {"1 bytes"}},
  };
  for (const Wrong& row : rows) CheckRefused(Spec(), row);
  // The elements can be counted, but not their bytes.
  ModelSpec wide = Spec();
  wide.inputs = {{"x", DataType::kFp64, {-1}}};
  wide.max_batch_size = 0;
  CheckRefused(wide,
               {"bytes", {{"x", "FP64", {kMost}, kRow}}, {}, "inputs[x]", {"more than int64"}});
}

TEST_CASE("CheckRequest: refuses bytes that do not fit shape and datatype", "[worker][check]") {
  const std::string more(17, '\0');
  const Wrong rows[] = {
      {"none", {{"x", "FP32", {1, 4}, ""}}, {}, "inputs[x]", {"0 bytes", "[1,4]", "takes 16"}},
      {"less", {{"x", "FP32", {2, 4}, kRow}}, {}, "inputs[x]", {"16 bytes", "takes 32"}},
      {"more", {{"x", "FP32", {1, 4}, more}}, {}, "inputs[x]", {"17 bytes", "takes 16"}},
      {"empty", {{"x", "FP32", {0, 4}, kRow}}, {}, "inputs[x]", {"16 bytes", "takes 0"}},
  };
  for (const Wrong& row : rows) CheckRefused(Spec(), row);
}

TEST_CASE("CheckRequest: refuses names missing, twice or unknown", "[worker][check]") {
  const ClaimedInput x{"x", "FP32", {1, 4}, kRow};
  const Wrong rows[] = {
      {"missing", {}, {}, "inputs", {"'x' is missing"}},
      {"only optional", {{"mask", "BOOL", {1, 1}, "a"}}, {}, "inputs", {"'x' is missing"}},
      {"twice", {x, x}, {}, "inputs[x]", {"came twice"}},
      {"unknown", {x, {"w", "FP32", {1, 4}, kRow}}, {}, "inputs[w]", {"'w'", "'x', 'mask'"}},
      {"no name", {{"", "FP32", {1, 4}, kRow}}, {}, "inputs[]", {"'x', 'mask'"}},
      {"NUL", {{{"x\0", 2}, "FP32", {1, 4}, kRow}}, {}, "inputs[x?]", {"'x?' is unknown"}},
      {"output unknown", {x}, {"w"}, "outputs[w]", {"'w'", "'y', 'z'"}},
      {"output twice", {x}, {"y", "y"}, "outputs[y]", {"twice"}},
  };
  for (const Wrong& row : rows) CheckRefused(Spec(), row);
}

TEST_CASE("CheckRequest: refuses a batch over the limit or unlike another's", "[worker][check]") {
  const std::string nine(9 * 16, '\0');
  const Wrong rows[] = {
      {"over", {{"x", "FP32", {9, 4}, nine}}, {}, "inputs[x].shape", {"[9,4]", "at most 8"}},
      {"unlike",
       {{"x", "FP32", {1, 4}, kRow}, {"mask", "BOOL", {2, 1}, "ab"}},
       {},
       "inputs[mask].shape",
       {"batch of 2", "of 1"}},
  };
  for (const Wrong& row : rows) CheckRefused(Spec(), row);
}

TEST_CASE("CheckRequest: lets batches of none through", "[worker][check]") {
  const auto checked = CheckRequest(Spec(), {{"x", "FP32", {0, 4}, ""}}, {});
  REQUIRE(checked.ok());
  CHECK(checked->batch == 0);
  CHECK(CheckRequest(Texts(), {{"text", "BYTES", {0}, ""}}, {}).ok());
}

TEST_CASE("CheckRequest: walks BYTES elements and never past their end", "[worker][check]") {
  const std::string two = Element(2, "ab") + Element(0, "");
  CHECK(CheckRequest(Texts(), {{"text", "BYTES", {2}, two}}, {}).ok());
  const std::string past = Element(3, "ab");
  const std::string huge = Element(0xFFFFFFFF, "ab");
  const std::string after = Element(1, "ab");
  const Wrong rows[] = {
      {"past", {{"text", "BYTES", {1}, past}}, {}, "inputs[text]", {"says 3 bytes, 2 are left"}},
      {"huge", {{"text", "BYTES", {1}, huge}}, {}, "inputs[text]", {"says 4294967295 bytes"}},
      {"after", {{"text", "BYTES", {1}, after}}, {}, "inputs[text]", {"1 bytes are left"}},
      {"cut", {{"text", "BYTES", {1}, "\1\0"}}, {}, "inputs[text]", {"holds 0 BYTES elements"}},
      {"fewer", {{"text", "BYTES", {3}, two}}, {}, "inputs[text]", {"holds 2 BYTES elements"}},
      {"2^62", {{"text", "BYTES", {int64_t{1} << 62}, two}}, {}, "inputs[text]", {"holds 2"}},
      {"none", {{"text", "BYTES", {0}, two}}, {}, "inputs[text]", {"10 bytes are left"}},
  };
  for (const Wrong& row : rows) CheckRefused(Texts(), row);
}

TEST_CASE("CheckRequest: any bytes as BYTES are refused or add up", "[worker][check]") {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 24, '\0');
    // Mostly zeros, so that some lengths are right.
    for (char& byte : bytes) byte = random() % 4 == 0 ? static_cast<char>(random() % 8) : '\0';
    const auto count = static_cast<int64_t>(random() % 5);
    const auto checked = CheckRequest(Texts(), {{"text", "BYTES", {count}, bytes}}, {});
    if (!checked.ok()) continue;
    size_t at = 0;
    for (int64_t i = 0; i < count; ++i) {
      uint32_t length = 0;
      std::memcpy(&length, bytes.data() + at, sizeof(length));
      at += sizeof(length) + length;
    }
    CHECK(at == bytes.size());
  }
}

TEST_CASE("CheckRequest: every datatype has the size the protocol says", "[worker][check]") {
  for (const DataType type : wire::kAllDataTypes) {
    if (type == DataType::kBytes) continue;
    ModelSpec spec = Texts();
    spec.inputs = {{"x", type, {3}}};
    const std::string right(3 * wire::ElementSize(type), '\0');
    CHECK(CheckRequest(spec, {{"x", wire::DataTypeName(type), {3}, right}}, {}).ok());
    const std::string_view wrong = std::string_view(right).substr(1);
    CHECK_FALSE(CheckRequest(spec, {{"x", wire::DataTypeName(type), {3}, wrong}}, {}).ok());
  }
}

TEST_CASE("CheckRequest: what strangers send is cut short in what goes back", "[worker][check]") {
  const std::string name(10 << 10, 'n');
  const auto checked = CheckRequest(Spec(), {{name, "FP32", {1, 4}, kRow}}, {});
  CHECK(checked.status().message().size() <= kMaxErrorText);
  const std::vector<int64_t> deep(1000000, 1);
  const auto shape = CheckRequest(Spec(), {{"x", "FP32", deep, kRow}}, {});
  CHECK(absl::IsInvalidArgument(shape.status()));
  CHECK(shape.status().message().size() <= kMaxErrorText);
}

TEST_CASE("CheckCounts: refuses more tensors than there are, by their number", "[worker][check]") {
  CHECK(CheckCounts(Spec(), 2, 2).ok());
  CHECK(CheckCounts(Spec(), 0, 0).ok());
  const absl::Status outputs = CheckCounts(Spec(), 1, 1000000);
  CHECK(absl::IsInvalidArgument(outputs));
  CHECK(BadField(outputs) == "outputs");
  CHECK_THAT(std::string(outputs.message()), ContainsSubstring("1000000 outputs"));
  CHECK(BadField(CheckCounts(Spec(), 3, 0)) == "inputs");
}

// Requests of unequal lengths, with a mask that the worker makes.
ModelSpec Lengths() {
  ModelSpec spec;
  spec.name = "tokens";
  spec.max_batch_size = 8;
  spec.inputs = {{"ids", DataType::kInt32, {-1, -1, -1}}, {"mask", DataType::kInt64, {-1, -1}}};
  spec.outputs = {{"y", DataType::kFp32, {-1, 2}}};
  spec.lengths.inputs = {1, 1};
  spec.lengths.outputs = {std::nullopt};
  spec.lengths.mask = 1;
  return spec;
}

TEST_CASE("CheckRequest: inputs of a request are equally long, and what is made may be left out",
          "[worker][front]") {
  const ModelSpec spec = Lengths();
  const std::string ids(2 * 3 * 2 * 4, '\0'), mask(2 * 3 * 8, '\0');
  const auto alone = CheckRequest(spec, {{"ids", "INT32", {2, 3, 2}, ids}}, {});
  REQUIRE(alone.ok());
  CHECK(alone->length == 3);
  CHECK(alone->rows() == 2);
  CHECK(alone->inputs[1].absent);
  CHECK(CheckRequest(spec, {{"ids", "INT32", {2, 3, 2}, ids}, {"mask", "INT64", {2, 3}, mask}}, {})
            .ok());
  const auto unequal = CheckRequest(
      spec, {{"ids", "INT32", {2, 3, 2}, ids}, {"mask", "INT64", {2, 2}, mask.substr(0, 32)}}, {});
  CHECK(absl::IsInvalidArgument(unequal.status()));
  CHECK(BadField(unequal.status()) == "inputs[mask].shape");
}

TEST_CASE("CheckRequest: a length that no bytes stand behind is refused", "[worker][front]") {
  const ModelSpec spec = Lengths();
  for (const int64_t length : {int64_t{1} << 20, int64_t{1} << 62}) {
    for (const int64_t rows : {0, 1}) {
      const auto huge = CheckRequest(spec, {{"ids", "INT32", {rows, length, 0}, ""}}, {});
      CHECK(absl::IsInvalidArgument(huge.status()));
      CHECK(BadField(huge.status()) == "inputs[ids].shape");
    }
  }
  CHECK(CheckRequest(spec, {{"ids", "INT32", {1, 5, 0}, ""}}, {}).ok());
  CHECK(CheckRequest(spec, {{"ids", "INT32", {0, 5, 3}, ""}}, {}).ok());
}

}  // namespace
}  // namespace torchfleet::worker
