#include "cli/infer/tensor_text.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace torchfleet::cli {
namespace {

using nlohmann::json;
using wire::DataType;

template <typename T>
std::string Bytes(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  return bytes;
}

std::string Npy(const std::string& header, const std::string& data) {
  const auto size = static_cast<uint16_t>(header.size());
  return std::string("\x93NUMPY\x01\x00", 8) + Bytes({size}) + header + data;
}

TEST_CASE("TensorFromJson: every datatype, to its limits, and back", "[cli][infer]") {
  struct Row {
    DataType type;
    const char* text;
    std::string bytes;
  };
  const Row rows[] = {
      {DataType::kBool, "[true,false]", Bytes<uint8_t>({1, 0})},
      {DataType::kUint8, "[0,255]", Bytes<uint8_t>({0, 255})},
      {DataType::kUint16, "[0,65535]", Bytes<uint16_t>({0, 65535})},
      {DataType::kUint32, "[0,4294967295]", Bytes<uint32_t>({0, UINT32_MAX})},
      {DataType::kUint64, "[0,18446744073709551615]", Bytes<uint64_t>({0, UINT64_MAX})},
      {DataType::kInt8, "[-128,127]", Bytes<int8_t>({-128, 127})},
      {DataType::kInt16, "[-32768,32767]", Bytes<int16_t>({-32768, 32767})},
      {DataType::kInt32, "[-2147483648,2147483647]", Bytes<int32_t>({INT32_MIN, INT32_MAX})},
      {DataType::kInt64, "[-9223372036854775808,9223372036854775807]",
       Bytes<int64_t>({INT64_MIN, INT64_MAX})},
      {DataType::kFp16, "[1.0,-2.0,65504.0,0.0]",
       Bytes<uint16_t>({0x3c00, 0xc000, 0x7bff, 0x0000})},
      {DataType::kBf16, "[1.0,-2.0]", Bytes<uint16_t>({0x3f80, 0xc000})},
      {DataType::kFp32, "[0.1,-3.4028234663852886e+38]",
       Bytes<float>({0.1F, std::numeric_limits<float>::lowest()})},
      {DataType::kFp64, "[0.1,5e-324]", Bytes<double>({0.1, 5e-324})},
      {DataType::kBytes, R"(["","ab"])", std::string("\0\0\0\0\2\0\0\0ab", 10)},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text, wire::DataTypeName(row.type));
    const auto tensor = TensorFromJson(json::parse(row.text), row.type);
    REQUIRE(tensor.ok());
    CHECK(tensor->bytes == row.bytes);
    const auto back = TensorToJson(*tensor, row.type);
    REQUIRE(back.ok());
    const json expected = json::parse(row.text);
    REQUIRE(back->size() == expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      // A float's shortest text is another double than its own.
      if (row.type == DataType::kFp32) {
        CHECK((*back)[i].get<float>() == expected[i].get<float>());
      } else {
        CHECK((*back)[i] == expected[i]);
      }
    }
  }
}

TEST_CASE("TensorFromJson: what a datatype cannot hold is refused by its value", "[cli][infer]") {
  struct Row {
    DataType type;
    const char* text;
  };
  const Row rows[] = {{DataType::kUint8, "256"},  {DataType::kUint8, "-1"},
                      {DataType::kInt8, "128"},   {DataType::kInt8, "-129"},
                      {DataType::kInt32, "1.5"},  {DataType::kInt64, "9223372036854775808"},
                      {DataType::kUint64, "-1"},  {DataType::kFp32, "1e+39"},
                      {DataType::kFp16, "65520"}, {DataType::kFp32, "\"1\""},
                      {DataType::kFp16, "1e+39"}, {DataType::kBf16, "3.4e+38"},
                      {DataType::kBool, "2"},     {DataType::kBytes, "1"},
                      {DataType::kFp64, "null"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const absl::Status status = TensorFromJson(json::parse(row.text), row.type).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find(row.text) != std::string::npos);
    CHECK(std::string(status.message()).find(wire::DataTypeName(row.type)) != std::string::npos);
  }
}

TEST_CASE("TensorFromJson: the shape is the lists'", "[cli][infer]") {
  const auto shape = [](const char* text) {
    return TensorFromJson(json::parse(text), DataType::kInt32)->shape;
  };
  CHECK(shape("7").empty());
  CHECK(shape("[]") == std::vector<int64_t>{0});
  CHECK(shape("[[1,2,3],[4,5,6]]") == std::vector<int64_t>{2, 3});
  for (const char* ragged : {"[[1,2],[3]]", "[[1],2]", "[1,[2]]", "[[1,2],[3,[4]]]"}) {
    CAPTURE(ragged);
    CHECK(absl::IsInvalidArgument(TensorFromJson(json::parse(ragged), DataType::kInt32).status()));
  }
}

TEST_CASE("TensorFromJson: halves are rounded to the nearest, ties to even", "[cli][infer]") {
  struct Row {
    double number;
    uint16_t half, brain;
  };
  const Row rows[] = {
      {1.00048828125, 0x3c00, 0x3f80},                                // halfway between two halves
      {1.00146484375, 0x3c02, 0x3f80}, {1.00390625, 0x3c04, 0x3f80},  // halfway between two of BF16
      {1.01171875, 0x3c0c, 0x3f82},    {6e-8, 0x0001, 0x3381},
      {2.9e-8, 0x0000, 0x32f9},        {6.103515625e-5, 0x0400, 0x3880}};
  for (const Row& row : rows) {
    CAPTURE(row.number);
    CHECK(TensorFromJson(json(row.number), DataType::kFp16)->bytes == Bytes({row.half}));
    CHECK(TensorFromJson(json(row.number), DataType::kBf16)->bytes == Bytes({row.brain}));
  }
}

TEST_CASE("TensorFromJson: a half is rounded once, from the number as written", "[cli][infer]") {
  struct Row {
    double number;
    uint16_t half, brain;
  };
  // A trifle beside halfway; a float would call it a tie.
  const Row rows[] = {{1.00048828125 + 0x1p-40, 0x3c01, 0x3f80},
                      {1.00146484375 - 0x1p-40, 0x3c01, 0x3f80},
                      {1.00390625 + 0x1p-40, 0x3c04, 0x3f81},
                      {-1.00390625 - 0x1p-40, 0xbc04, 0xbf81},
                      {1.01171875 - 0x1p-40, 0x3c0c, 0x3f81},
                      {65519.9999999, 0x7bff, 0x4780},
                      {0x1p-25 + 0x1p-60, 0x0001, 0x3300},
                      {1e-300, 0x0000, 0x0000},
                      {-1e-300, 0x8000, 0x8000}};
  for (const Row& row : rows) {
    CAPTURE(row.number);
    CHECK(TensorFromJson(json(row.number), DataType::kFp16)->bytes == Bytes({row.half}));
    CHECK(TensorFromJson(json(row.number), DataType::kBf16)->bytes == Bytes({row.brain}));
  }
}

TEST_CASE("TensorToJson: every half comes back as itself", "[cli][infer]") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7c00) == 0x7c00) continue;  // no finite number
    const std::string bytes = Bytes({static_cast<uint16_t>(bits)});
    const json number = ElementToJson(bytes.data(), DataType::kFp16);
    const auto back = TensorFromJson(number, DataType::kFp16);
    if (!back.ok() || back->bytes != bytes) FAIL("half " << bits << " became " << number.dump());
  }
}

TEST_CASE("TensorToJson: bytes that end too early are an error", "[cli][infer]") {
  CHECK(absl::IsInternal(TensorToJson({{2}, Bytes<float>({1})}, DataType::kFp32).status()));
  CHECK(absl::IsInternal(TensorToJson({{1}, "\3"}, DataType::kBytes).status()));
  CHECK(absl::IsInternal(
      TensorToJson({{1}, std::string("\3\0\0\0ab", 6)}, DataType::kBytes).status()));
}

TEST_CASE("TensorToJson: the shape is the lists'", "[cli][infer]") {
  const auto text = [](std::vector<int64_t> shape, const std::string& bytes) {
    return TensorToJson({std::move(shape), bytes}, DataType::kUint8)->dump();
  };
  CHECK(text({}, "\7") == "7");
  CHECK(text({0}, "") == "[]");
  CHECK(text({2, 0}, "") == "[[],[]]");
  CHECK(text({2, 1, 2}, "\1\2\3\4") == "[[[1,2]],[[3,4]]]");
}

TEST_CASE("TensorToJson: a shape that cannot be is an error", "[cli][infer]") {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{-1},
                                            {2, -1},
                                            {INT64_MAX, 2},
                                            {INT64_C(1) << 32, INT64_C(1) << 32},
                                            {INT64_C(1) << 40, 0}}) {
    CAPTURE(shape);
    CHECK(absl::IsInternal(TensorToJson({shape, Bytes<float>({1})}, DataType::kFp32).status()));
    CHECK(absl::IsInternal(TensorToJson({shape, "\1\0\0\0a"}, DataType::kBytes).status()));
  }
  CHECK(absl::IsInternal(TensorToJson({{1}, Bytes<float>({1, 2})}, DataType::kFp32).status()));
}

TEST_CASE("TensorFromNpy: as it is, or converted where every number fits", "[cli][infer]") {
  const std::string floats = Npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }",
                                 Bytes<double>({1, 2, 3, 4}));
  CHECK(TensorFromNpy(floats, DataType::kFp64)->bytes == Bytes<double>({1, 2, 3, 4}));
  CHECK(TensorFromNpy(floats, DataType::kFp32)->bytes == Bytes<float>({1, 2, 3, 4}));
  CHECK(TensorFromNpy(floats, DataType::kUint8)->bytes == Bytes<uint8_t>({1, 2, 3, 4}));
  CHECK(TensorFromNpy(floats, DataType::kUint8)->shape == std::vector<int64_t>{2, 2});
  const std::string half =
      Npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", Bytes<double>({0.5}));
  CHECK(absl::IsInvalidArgument(TensorFromNpy(half, DataType::kInt32).status()));
  CHECK(absl::IsInvalidArgument(TensorFromNpy(half, DataType::kBytes).status()));
}

TEST_CASE("TensorFromNpy: a float of another width is the same number", "[cli][infer]") {
  const std::string header = "', 'fortran_order': False, 'shape': (3,), }";
  const std::string singles = Npy("{'descr': '<f4" + header, Bytes<float>({0.1F, -0.0F, 3}));
  CHECK(TensorFromNpy(singles, DataType::kFp64)->bytes == Bytes<double>({double{0.1F}, -0.0, 3}));
  const std::string doubles = Npy("{'descr': '<f8" + header, Bytes<double>({0.1, -0.0, 1e-300}));
  CHECK(TensorFromNpy(doubles, DataType::kFp32)->bytes == Bytes<float>({0.1F, -0.0F, 0}));
  const std::string halves =
      Npy("{'descr': '<f2" + header, Bytes<uint16_t>({0x0001, 0x8000, 0x7bff}));
  CHECK(TensorFromNpy(halves, DataType::kFp32)->bytes == Bytes<float>({0x1p-24F, -0.0F, 65504}));
  CHECK(TensorFromNpy(halves, DataType::kFp16)->bytes == Bytes<uint16_t>({0x0001, 0x8000, 0x7bff}));
}

TEST_CASE("TensorFromNpy: whole numbers keep every digit, or do not fit", "[cli][infer]") {
  const std::string header = "', 'fortran_order': False, 'shape': (2,), }";
  const std::string wide = Npy("{'descr': '<i8" + header, Bytes<int64_t>({INT64_MIN, INT64_MAX}));
  CHECK(TensorFromNpy(wide, DataType::kInt64)->bytes == Bytes<int64_t>({INT64_MIN, INT64_MAX}));
  const absl::Status status = TensorFromNpy(wide, DataType::kInt32).status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK(status.message() == "the value -9223372036854775808 is no INT32");
  const std::string large = Npy("{'descr': '<u8" + header, Bytes<uint64_t>({7, UINT64_MAX}));
  CHECK(TensorFromNpy(large, DataType::kUint64)->bytes == Bytes<uint64_t>({7, UINT64_MAX}));
  CHECK(TensorFromNpy(large, DataType::kInt64).status().message() ==
        "the value 18446744073709551615 is no INT64");
  // What no double tells from its neighbours is no whole number of anything.
  const std::string huge = Npy("{'descr': '<f8" + header, Bytes<double>({1, 0x1p60}));
  CHECK(absl::IsInvalidArgument(TensorFromNpy(huge, DataType::kInt64).status()));
  CHECK(absl::IsInvalidArgument(TensorFromNpy("no array", DataType::kFp32).status()));
}

TEST_CASE("FitShape: a single record gets its batch", "[cli][infer]") {
  const InputSpec spec{"x", DataType::kFp32, {-1, 784}};
  Tensor tensor{{784}, {}};
  CHECK(FitShape(spec, &tensor).ok());
  CHECK(tensor.shape == std::vector<int64_t>{1, 784});
  CHECK(FitShape(spec, &tensor).ok());
  CHECK(tensor.shape == std::vector<int64_t>{1, 784});
  Tensor wrong{{2, 783}, {}};
  const absl::Status status = FitShape(spec, &wrong);
  CHECK(absl::IsInvalidArgument(status));
  CHECK(status.message() == "input 'x' has shape [2,783]; the model takes [-1,784]");
}

}  // namespace
}  // namespace torchfleet::cli
