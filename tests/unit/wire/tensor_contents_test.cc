#include "wire/tensor_contents.h"

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/status.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::wire {
namespace {

using Contents = inference::InferTensorContents;

// Calls use(tensor) for a parsed request whose one input has those contents.
template <typename Use>
void WithTensor(const Contents& contents, Use use) {
  inference::ModelInferRequest request;
  auto& input = *request.add_inputs();
  input.set_name("x");
  *input.mutable_contents() = contents;
  const std::string bytes = request.SerializeAsString();
  InferRequestView view;
  REQUIRE(view.Parse(bytes).ok());
  use(view.inputs()[0]);
}

// As raw contents; the error's message where there is none.
std::string Raw(const Contents& contents, DataType type) {
  std::string raw;
  WithTensor(contents, [&](const TensorView& tensor) {
    const auto size = RawContentsSize(tensor, type);
    if (!size.ok()) {
      raw = std::string(size.status().message());
      return;
    }
    raw.resize(*size);
    const absl::Status status = CopyContents(tensor, type, raw);
    if (!status.ok()) raw = std::string(status.message());
  });
  return raw;
}

template <typename T>
std::string BytesOf(std::vector<T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST_CASE("CopyContents: every datatype that has typed contents becomes raw", "[wire][contents]") {
  Contents bools, ints, longs, uints, ulongs, floats, doubles, texts;
  for (const bool value : {true, false}) bools.add_bool_contents(value);
  for (const int value : {-128, 127}) ints.add_int_contents(value);
  longs.add_int64_contents(std::numeric_limits<int64_t>::min());
  for (const uint32_t value : {0u, 255u}) uints.add_uint_contents(value);
  ulongs.add_uint64_contents(std::numeric_limits<uint64_t>::max());
  for (const float value : {1.5f, std::numeric_limits<float>::infinity()}) {
    floats.add_fp32_contents(value);
  }
  doubles.add_fp64_contents(-0.0);
  texts.add_bytes_contents("");
  texts.add_bytes_contents(std::string("\xFF\0a", 3));
  CHECK(Raw(bools, DataType::kBool) == std::string("\1\0", 2));
  CHECK(Raw(ints, DataType::kInt8) == BytesOf<int8_t>({-128, 127}));
  CHECK(Raw(ints, DataType::kInt16) == BytesOf<int16_t>({-128, 127}));
  CHECK(Raw(ints, DataType::kInt32) == BytesOf<int32_t>({-128, 127}));
  CHECK(Raw(longs, DataType::kInt64) == BytesOf<int64_t>({std::numeric_limits<int64_t>::min()}));
  CHECK(Raw(uints, DataType::kUint8) == BytesOf<uint8_t>({0, 255}));
  CHECK(Raw(uints, DataType::kUint16) == BytesOf<uint16_t>({0, 255}));
  CHECK(Raw(uints, DataType::kUint32) == BytesOf<uint32_t>({0, 255}));
  CHECK(Raw(ulongs, DataType::kUint64) == std::string(8, '\xFF'));
  CHECK(Raw(floats, DataType::kFp32) ==
        BytesOf<float>({1.5f, std::numeric_limits<float>::infinity()}));
  CHECK(Raw(doubles, DataType::kFp64) == BytesOf<double>({-0.0}));
  CHECK(Raw(texts, DataType::kBytes) == std::string("\0\0\0\0\3\0\0\0\xFF\0a", 11));
}

TEST_CASE("CopyContents: contents that came in several messages are one", "[wire][contents]") {
  // Unpacked, packed, and again in a second `contents`.
  const std::string first("\x2A\x06\x10\x01\x12\x02\x02\x03");
  const std::string unknown("\x3A\x00", 2);
  const std::string second("\x2A\x02\x10\x04");
  const std::string bytes = "\x2A\x0E" + first + unknown + second;
  InferRequestView view;
  const absl::Status status = view.Parse(bytes);
  INFO(status.message());
  REQUIRE(status.ok());
  std::vector<int32_t> values;
  VisitContents<ContentsKind::kInt>(view.inputs()[0],
                                    [&](int32_t value) { values.push_back(value); });
  CHECK(values == std::vector<int32_t>{1, 2, 3, 4});
}

TEST_CASE("CopyContents: a number its datatype cannot hold is refused", "[wire][contents]") {
  Contents ints, uints;
  for (const int value : {1, 128}) ints.add_int_contents(value);
  uints.add_uint_contents(65536);
  CHECK(Raw(ints, DataType::kInt8) ==
        "element 1 of 'x' is 128; expected -128 to 127 for its datatype");
  CHECK(Raw(uints, DataType::kUint16) ==
        "element 0 of 'x' is 65536; expected 0 to 65535 for its datatype");
}

TEST_CASE("RawContentsSize: contents of another kind than the datatype's are refused",
          "[wire][contents]") {
  Contents both;
  both.add_fp32_contents(1);
  both.add_int_contents(1);
  CHECK(Raw(both, DataType::kFp32) == "'x' is FP32 and has elements outside fp32_contents");
  CHECK(Raw(both, DataType::kFp16) ==
        "'x' has its elements in contents; FP16 is sent as raw contents only");
}

TEST_CASE("CopyContents: too little room is an error of the caller", "[wire][contents]") {
  Contents floats;
  floats.add_fp32_contents(1);
  WithTensor(floats, [](const TensorView& tensor) {
    std::vector<char> raw(3);
    CHECK(CopyContents(tensor, DataType::kFp32, raw).code() == absl::StatusCode::kInternal);
  });
}

}  // namespace
}  // namespace torchfleet::wire
