#include "wire/infer_views.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "base/status.h"
#include "inference/grpc_service.pb.h"
#include "tests/unit/wire/allocations.h"

namespace torchfleet::wire {
namespace {

std::string Repeated(std::string_view bytes, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += bytes;
  return out;
}

// An input, an output wanted, parameters everywhere.
std::string UsualRequest() {
  inference::ModelInferRequest request;
  request.set_model_name("mnist");
  request.set_model_version("3");
  request.set_id("a1");
  (*request.mutable_parameters())["priority"].set_int64_param(-1);
  auto& input = *request.add_inputs();
  input.set_name("image");
  input.set_datatype("FP32");
  for (const int dimension : {1, 1, 28, 28}) input.add_shape(dimension);
  (*input.mutable_parameters())["unit"].set_string_param("byte");
  auto& output = *request.add_outputs();
  output.set_name("scores");
  (*output.mutable_parameters())["classification"].set_uint64_param(3);
  request.add_raw_input_contents(std::string(4 * 784, 'x'));
  return request.SerializeAsString();
}

bool Inside(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

TEST_CASE("InferRequestView: gives every part of a request", "[wire][views]") {
  const std::string bytes = UsualRequest();
  InferRequestView view;
  REQUIRE(view.Parse(bytes).ok());
  CHECK(view.model_name() == "mnist");
  CHECK(view.model_version() == "3");
  CHECK(view.id() == "a1");
  CHECK(std::get<int64_t>(*FindParameter(view.parameters(), "priority")) == -1);
  CHECK(FindParameter(view.parameters(), "timeout") == nullptr);
  REQUIRE(view.inputs().size() == 1);
  const TensorView& input = view.inputs()[0];
  CHECK(input.name == "image");
  CHECK(input.datatype == "FP32");
  CHECK(std::vector(input.shape.begin(), input.shape.end()) == std::vector<int64_t>{1, 1, 28, 28});
  CHECK(std::get<std::string_view>(*FindParameter(input.parameters, "unit")) == "byte");
  CHECK_FALSE(input.contents.present);
  REQUIRE(view.outputs().size() == 1);
  CHECK(view.outputs()[0].name == "scores");
  CHECK(std::get<uint64_t>(*FindParameter(view.outputs()[0].parameters, "classification")) == 3);
  REQUIRE(view.raw_input_contents().size() == 1);
}

TEST_CASE("InferRequestView: copies no text and no tensor, and allocates nothing",
          "[wire][views]") {
  const std::string bytes = UsualRequest();
  InferRequestView view;
  const size_t before = Allocations();
  const bool parsed = view.Parse(bytes).ok();
  const size_t after = Allocations();
  REQUIRE(parsed);
  CHECK(after == before);
  CHECK(Inside(view.model_name(), bytes));
  CHECK(Inside(view.inputs()[0].name, bytes));
  CHECK(Inside(view.raw_input_contents()[0], bytes));
}

TEST_CASE("InferRequestView: parses again and again, and is empty after an error",
          "[wire][views]") {
  const std::string bytes = UsualRequest();
  InferRequestView view;
  REQUIRE(view.Parse(bytes).ok());
  CHECK_FALSE(view.Parse(bytes.substr(0, bytes.size() - 1)).ok());
  CHECK(view.model_name().empty());
  CHECK(view.inputs().empty());
  REQUIRE(view.Parse(bytes).ok());
  CHECK(view.inputs().size() == 1);
}

TEST_CASE("InferRequestView: parts stay right when there are many", "[wire][views]") {
  inference::ModelInferRequest request;
  for (int i = 0; i < 100; ++i) {
    auto& input = *request.add_inputs();
    input.set_name(std::to_string(i));
    for (int d = 0; d <= i % 7; ++d) input.add_shape(i);
    (*input.mutable_parameters())["n"].set_int64_param(i);
    auto& output = *request.add_outputs();
    (*output.mutable_parameters())["m"].set_int64_param(-i);
  }
  const std::string bytes = request.SerializeAsString();
  InferRequestView view;
  REQUIRE(view.Parse(bytes).ok());
  REQUIRE(view.inputs().size() == 100);
  for (int i = 0; i < 100; ++i) {
    CAPTURE(i);
    CHECK(view.inputs()[i].shape.size() == static_cast<size_t>(i % 7 + 1));
    CHECK(view.inputs()[i].shape.back() == i);
    CHECK(std::get<int64_t>(*FindParameter(view.inputs()[i].parameters, "n")) == i);
    CHECK(std::get<int64_t>(*FindParameter(view.outputs()[i].parameters, "m")) == -i);
  }
}

TEST_CASE("InferRequestView: a million requested outputs are refused before any room is made",
          "[wire][views]") {
  const std::string bytes = Repeated(std::string_view("\x32\x00", 2), 1'000'000);
  InferRequestView view;
  const MessageLimits limits;
  const size_t before = Allocations();
  const absl::Status status = view.Parse(bytes, limits);
  const size_t made = Allocations() - before;
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(status.message()) ==
        "the request has 1000000 requested outputs, more than the 1024 that are taken");
  CHECK(BadField(status) == "requested outputs");
  // The error's own text only.
  CHECK(made < 20);
}

TEST_CASE("InferRequestView: takes as many parts as the limits say and no more", "[wire][views]") {
  const MessageLimits limits = {
      .tensors = 6, .requested_outputs = 2, .parameters = 3, .dimensions = 2};
  struct Row {
    std::string_view part;
    int most;
  };
  const std::string shape = "\x2A\x02\x18\x01";
  const Row rows[] = {
      {std::string_view("\x2A\x00", 2), 6},          // inputs
      {std::string_view("\x3A\x00", 2), 6},          // raw contents
      {std::string_view("\x32\x00", 2), 2},          // requested outputs
      {std::string_view("\x22\x00", 2), 3},          // parameters, of one key
      {std::string_view("\x2A\x02\x22\x00", 4), 3},  // parameters of tensors
  };
  InferRequestView view;
  for (const Row& row : rows) {
    CAPTURE(row.part);
    CHECK(view.Parse(Repeated(row.part, row.most), limits).ok());
    CHECK_FALSE(view.Parse(Repeated(row.part, row.most + 1), limits).ok());
  }
  CHECK(view.Parse("\x2A\x04\x1A\x02\x01\x02", limits).ok());
  CHECK_FALSE(view.Parse("\x2A\x05\x1A\x03\x01\x02\x03", limits).ok());
  CHECK_FALSE(view.Parse("\x2A\x06\x18\x01\x18\x01\x18\x01", limits).ok());
}

TEST_CASE("InferRequestView: says where a message is malformed", "[wire][views]") {
  InferRequestView view;
  const absl::Status cut = view.Parse("\x0A\x05mnis");
  CHECK(std::string(cut.message()) ==
        "the request is not a well-formed message: at byte 2 expected as many bytes as the length "
        "before says");
  const absl::Status text = view.Parse("\x0A\x01\xFF");
  CHECK(std::string(text.message()) == "model_name is '?'; expected a text in UTF-8");
  CHECK(BadField(text) == "model_name");
  InferResponseView response;
  CHECK(std::string(response.Parse("\x07").message()) ==
        "the response is not a well-formed message: at byte 1 expected a field number over 0");
}

}  // namespace
}  // namespace torchfleet::wire
