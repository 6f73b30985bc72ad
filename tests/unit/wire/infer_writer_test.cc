#include "wire/infer_writer.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "inference/grpc_service.pb.h"
#include "tests/unit/wire/allocations.h"
#include "wire/wire_reader.h"

namespace torchfleet::wire {
namespace {

std::string Joined(std::span<const std::string_view> pieces) {
  std::string bytes;
  for (const std::string_view piece : pieces) bytes.append(piece);
  return bytes;
}

TEST_CASE("InferWriter: a request is what Protobuf reads", "[wire][writer]") {
  const std::string image(4 * 784, 'x');
  const int64_t shape[] = {1, -1, int64_t{1} << 40};
  const Parameter parameters[] = {{"b", true}, {"i", int64_t{-1}},  {"s", std::string_view("")},
                                  {"d", 0.5},  {"u", ~uint64_t{0}}, {"none", {}}};
  const TensorSource inputs[] = {
      {.name = "image",
       .datatype = "FP32",
       .shape = shape,
       .parameters = parameters,
       .data = image},
      {.name = "empty", .datatype = "BYTES", .shape = {}, .parameters = {}, .data = {}}};
  const RequestedOutputView outputs[] = {{.name = "scores", .parameters = parameters}};
  InferWriter writer;
  const auto pieces = writer.Write(RequestSource{.model_name = "mnist",
                                                 .model_version = "",
                                                 .id = "größe",
                                                 .parameters = parameters,
                                                 .inputs = inputs,
                                                 .outputs = outputs});
  REQUIRE(pieces.ok());
  // The tensor itself, not a copy.
  REQUIRE(pieces->size() == 3);
  CHECK((*pieces)[1].data() == image.data());
  const std::string bytes = Joined(*pieces);
  CHECK(bytes.size() == writer.size());
  inference::ModelInferRequest request;
  REQUIRE(request.ParseFromString(bytes));
  CHECK(request.model_name() == "mnist");
  CHECK(request.id() == "größe");
  REQUIRE(request.inputs_size() == 2);
  CHECK(request.inputs(0).shape(2) == int64_t{1} << 40);
  CHECK(request.inputs(0).parameters().at("s").has_string_param());
  CHECK(request.parameters().at("u").uint64_param() == ~uint64_t{0});
  CHECK(request.parameters().at("none").parameter_choice_case() == 0);
  CHECK(request.outputs(0).parameters().at("d").double_param() == 0.5);
  REQUIRE(request.raw_input_contents_size() == 2);
  CHECK(request.raw_input_contents(0) == image);
  CHECK(request.raw_input_contents(1).empty());
}

TEST_CASE("InferWriter: a response is what Protobuf reads", "[wire][writer]") {
  const int64_t shape[] = {1, 2};
  const TensorSource outputs[] = {
      {.name = "a", .datatype = "FP32", .shape = shape, .parameters = {}, .data = "12345678"},
      {.name = "b", .datatype = "UINT8", .shape = shape, .parameters = {}, .data = "12"}};
  InferWriter writer;
  const auto pieces = writer.Write(ResponseSource{
      .model_name = "m", .model_version = "1", .id = "", .parameters = {}, .outputs = outputs});
  REQUIRE(pieces.ok());
  CHECK(pieces->size() == 4);
  inference::ModelInferResponse response;
  REQUIRE(response.ParseFromString(Joined(*pieces)));
  CHECK(response.model_version() == "1");
  CHECK(response.outputs(1).name() == "b");
  REQUIRE(response.raw_output_contents_size() == 2);
  CHECK(response.raw_output_contents(0) == "12345678");
  CHECK(response.raw_output_contents(1) == "12");
}

TEST_CASE("InferWriter: nothing to say is no piece", "[wire][writer]") {
  InferWriter writer;
  const auto pieces = writer.Write(RequestSource{});
  REQUIRE(pieces.ok());
  CHECK(pieces->empty());
  CHECK(writer.size() == 0);
}

TEST_CASE("InferWriter: a message over the format's own limit is refused", "[wire][writer]") {
  // Only its size is looked at.
  static const char byte = 0;
  const TensorSource inputs[] = {{.name = "x",
                                  .datatype = "UINT8",
                                  .shape = {},
                                  .parameters = {},
                                  .data = std::string_view(&byte, kMaxMessageSize)}};
  InferWriter writer;
  RequestSource request;
  request.inputs = inputs;
  CHECK(writer.Write(request).status().code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("InferWriter: writes again without an allocation", "[wire][writer]") {
  const TensorSource outputs[] = {
      {.name = "a", .datatype = "FP32", .shape = {}, .parameters = {}, .data = "12345678"}};
  const ResponseSource response = {.model_name = "model",
                                   .model_version = "1",
                                   .id = "some call of mine",
                                   .parameters = {},
                                   .outputs = outputs};
  InferWriter writer;
  REQUIRE(writer.Write(response).ok());
  const size_t before = Allocations();
  const bool written = writer.Write(response).ok();
  const size_t after = Allocations();
  CHECK(written);
  CHECK(after == before);
}

}  // namespace
}  // namespace torchfleet::wire
