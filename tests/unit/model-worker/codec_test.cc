#include "model-worker/front/codec.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <limits>

#include "base/status.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;
using inference::InferTensorContents;
using inference::ModelInferRequest;

template <typename... Elements>
std::string Bytes(Elements... elements) {
  std::string bytes;
  (bytes.append(reinterpret_cast<const char*>(&elements), sizeof(elements)), ...);
  return bytes;
}

ModelInferRequest Typed(const std::string& datatype, int64_t count,
                        const InferTensorContents& contents) {
  ModelInferRequest request;
  auto* input = request.add_inputs();
  input->set_name("x");
  input->set_datatype(datatype);
  input->add_shape(count);
  *input->mutable_contents() = contents;
  return request;
}

// A request as the worker has it: the message, its view, and what was decoded.
struct Received {
  explicit Received(const ModelInferRequest& request) : message(request.SerializeAsString()) {
    status = view.Parse(message);
    REQUIRE(status.ok());
    status = DecodeRequest(view, decoded);
  }
  const std::string message;
  wire::InferRequestView view;
  DecodedRequest decoded;
  absl::Status status;
};

struct Row {
  std::string datatype;
  InferTensorContents contents;
  int64_t count;
  std::string bytes;
};

// Every datatype that has a field, with its extremes.
std::vector<Row> Rows() {
  std::vector<Row> rows(12);
  size_t at = 0;
  const auto row = [&](const char* datatype, int64_t count, std::string bytes) {
    rows[at].datatype = datatype;
    rows[at].count = count;
    rows[at].bytes = std::move(bytes);
    return &rows[at++].contents;
  };
  auto* c = row("BOOL", 2, Bytes(uint8_t{1}, uint8_t{0}));
  c->add_bool_contents(true), c->add_bool_contents(false);
  c = row("INT8", 2, Bytes(int8_t{-128}, int8_t{127}));
  c->add_int_contents(-128), c->add_int_contents(127);
  c = row("INT16", 2, Bytes(int16_t{-32768}, int16_t{32767}));
  c->add_int_contents(-32768), c->add_int_contents(32767);
  c = row("INT32", 1, Bytes(std::numeric_limits<int32_t>::min()));
  c->add_int_contents(std::numeric_limits<int32_t>::min());
  c = row("INT64", 1, Bytes(std::numeric_limits<int64_t>::min()));
  c->add_int64_contents(std::numeric_limits<int64_t>::min());
  c = row("UINT8", 2, Bytes(uint8_t{255}, uint8_t{0}));
  c->add_uint_contents(255), c->add_uint_contents(0);
  c = row("UINT16", 1, Bytes(uint16_t{65535}));
  c->add_uint_contents(65535);
  c = row("UINT32", 1, Bytes(std::numeric_limits<uint32_t>::max()));
  c->add_uint_contents(std::numeric_limits<uint32_t>::max());
  c = row("UINT64", 1, Bytes(std::numeric_limits<uint64_t>::max()));
  c->add_uint64_contents(std::numeric_limits<uint64_t>::max());
  c = row("FP32", 2, Bytes(1.5F, std::numeric_limits<float>::infinity()));
  c->add_fp32_contents(1.5F), c->add_fp32_contents(std::numeric_limits<float>::infinity());
  c = row("FP64", 1, Bytes(-2.25));
  c->add_fp64_contents(-2.25);
  c = row("BYTES", 2, Bytes(uint32_t{2}) + "ab" + Bytes(uint32_t{0}));
  c->add_bytes_contents("ab"), c->add_bytes_contents("");
  return rows;
}

TEST_CASE("DecodeRequest: typed contents become the wire's bytes", "[worker][codec]") {
  for (const Row& row : Rows()) {
    INFO(row.datatype);
    const ModelInferRequest request = Typed(row.datatype, row.count, row.contents);
    const Received received(request);
    REQUIRE(received.status.ok());
    CHECK(received.decoded.inputs[0].name == "x");
    CHECK(received.decoded.inputs[0].datatype == row.datatype);
    CHECK(received.decoded.inputs[0].shape == std::vector<int64_t>{row.count});
    CHECK(received.decoded.inputs[0].bytes == row.bytes);
  }
}

TEST_CASE("DecodeRequest: raw contents of every datatype are viewed, not copied",
          "[worker][codec]") {
  for (const wire::DataType type : wire::kAllDataTypes) {
    ModelInferRequest request;
    request.add_inputs()->set_datatype(std::string(wire::DataTypeName(type)));
    request.add_raw_input_contents("some bytes that are long enough to lie on the heap");
    const Received received(request);
    REQUIRE(received.status.ok());
    CHECK(received.decoded.inputs[0].bytes == request.raw_input_contents(0));
    CHECK(received.decoded.inputs[0].bytes.data() > received.message.data());
    CHECK(received.decoded.inputs[0].bytes.data() <
          received.message.data() + received.message.size());
  }
}

TEST_CASE("DecodeRequest: outputs keep the order of the request", "[worker][codec]") {
  ModelInferRequest request;
  request.add_outputs()->set_name("z");
  request.add_outputs()->set_name("y");
  const Received received(request);
  REQUIRE(received.status.ok());
  CHECK(received.decoded.requested_outputs == std::vector<std::string_view>{"z", "y"});
}

void CheckRefused(const ModelInferRequest& request, const std::string& field,
                  const std::string& says) {
  const absl::Status status = Received(request).status;
  CHECK(absl::IsInvalidArgument(status));
  CHECK(BadField(status).value_or("") == field);
  CHECK_THAT(std::string(status.message()), ContainsSubstring(says));
}

TEST_CASE("DecodeRequest: refuses values that the datatype cannot hold", "[worker][codec]") {
  const std::pair<const char*, int32_t> narrow[] = {
      {"INT8", 128}, {"INT8", -129}, {"INT16", 32768}, {"INT16", -32769}};
  for (const auto& [datatype, value] : narrow) {
    InferTensorContents contents;
    contents.add_int_contents(value);
    CheckRefused(Typed(datatype, 1, contents), "inputs[x].contents", std::to_string(value));
  }
  const std::pair<const char*, uint32_t> natural[] = {{"UINT8", 256}, {"UINT16", 65536}};
  for (const auto& [datatype, value] : natural) {
    InferTensorContents contents;
    contents.add_uint_contents(value);
    CheckRefused(Typed(datatype, 1, contents), "inputs[x].contents", std::to_string(value));
  }
}

TEST_CASE("DecodeRequest: FP16 and BF16 travel raw only", "[worker][codec]") {
  InferTensorContents contents;
  contents.add_fp32_contents(1);
  CheckRefused(Typed("FP16", 1, contents), "inputs[x].contents", "raw_input_contents only");
  CheckRefused(Typed("BF16", 0, {}), "inputs[x].contents", "raw_input_contents only");
}

TEST_CASE("DecodeRequest: refuses another datatype's field, other counts and no datatype",
          "[worker][codec]") {
  InferTensorContents contents;
  contents.add_fp64_contents(1);
  CheckRefused(Typed("FP32", 1, contents), "inputs[x].contents", "another datatype");
  contents.add_fp32_contents(1);
  CheckRefused(Typed("FP32", 1, contents), "inputs[x].contents", "another datatype");
  contents.clear_fp64_contents();
  CheckRefused(Typed("FP32", 2, contents), "inputs[x].contents", "has 1 elements");
  CheckRefused(Typed("TEXT", 1, contents), "inputs[x].contents", "'TEXT'");
}

TEST_CASE("DecodeRequest: refuses raw contents mixed with typed, and other counts",
          "[worker][codec]") {
  InferTensorContents contents;
  contents.add_fp32_contents(1);
  ModelInferRequest request = Typed("FP32", 1, contents);
  request.add_raw_input_contents("abcd");
  CheckRefused(request, "inputs[x].contents", "beside raw_input_contents");
  request.add_raw_input_contents("abcd");
  CheckRefused(request, "raw_input_contents", "2 raw_input_contents came for 1 inputs");
  request.clear_inputs();
  CheckRefused(request, "raw_input_contents", "for 0 inputs");
}

TEST_CASE("WriteResponse: wanted outputs in their order, always raw", "[worker][codec]") {
  ModelSpec spec;
  spec.name = "digits";
  spec.version = "3";
  spec.outputs = {{"y", wire::DataType::kFp32, {-1}}, {"z", wire::DataType::kBf16, {-1, 2}}};
  const std::vector<OutputTensor> outputs = {{wire::DataType::kFp32, {1}, "1234", nullptr},
                                             {wire::DataType::kBf16, {1, 2}, "abcd", nullptr}};
  const std::vector<size_t> wanted = {1, 0};
  wire::InferWriter writer;
  const auto pieces = WriteResponse(spec, {.id = "an id", .wanted = wanted}, outputs, writer);
  REQUIRE(pieces.ok());
  std::string message;
  for (const std::string_view piece : *pieces) message += piece;
  CHECK(message.size() == writer.size());
  inference::ModelInferResponse response;
  REQUIRE(response.ParseFromString(message));
  CHECK(response.id() == "an id");
  CHECK(response.model_name() == "digits");
  CHECK(response.model_version() == "3");
  CHECK(response.parameters().empty());
  REQUIRE(response.outputs_size() == 2);
  CHECK(response.outputs(0).name() == "z");
  CHECK(response.outputs(0).datatype() == "BF16");
  CHECK(response.outputs(0).shape(1) == 2);
  CHECK_FALSE(response.outputs(0).has_contents());
  CHECK(response.raw_output_contents(0) == "abcd");
  CHECK(response.outputs(1).name() == "y");
  CHECK(response.raw_output_contents(1) == "1234");
}

}  // namespace
}  // namespace torchfleet::worker
