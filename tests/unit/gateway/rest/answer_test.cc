#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>

#include "inference/grpc_service.pb.h"
#include "tests/unit/gateway/rest/rest_case.h"

namespace torchfleet::gateway::rest {
namespace {

const OutputCase kY = {"y", "FP32", {2, 2}, Raw<float>({1, 0.1F, -0.0F, 1e20F})};
const OutputCase kText = {"s", "BYTES", {2}, RawTexts({"a\"\n", "€"})};

AnswerForm FormOf(AnswerForm::Kind kind, bool one_row = false) {
  AnswerForm form;
  form.kind = kind;
  form.one_row = one_row;
  return form;
}

TEST_CASE("Answer: outputs as JSON", "[gateway][rest]") {
  using Kind = AnswerForm::Kind;
  struct Row {
    std::vector<OutputCase> outputs;
    AnswerForm form;
    std::string json;
  };
  const OutputCase one = {"y", "FP32", {1, 2}, Raw<float>({0.5F, 2})};
  const OutputCase bytes = {"z_bytes", "BYTES", {2}, RawTexts({"\xff", "hi"})};
  const Row rows[] = {
      {{kY, kText},
       FormOf(Kind::kInfer),
       R"({"model_name":"m","model_version":"1","id":"7","outputs":[)"
       R"({"name":"y","datatype":"FP32","shape":[2,2],"data":[1,0.1,-0.0,1e+20]},)"
       R"({"name":"s","datatype":"BYTES","shape":[2],"data":["a\"\u000a","€"]}]})"},
      {{}, FormOf(Kind::kInfer), R"({"model_name":"m","model_version":"1","id":"7","outputs":[]})"},
      {{kY}, FormOf(Kind::kPredictions), R"({"predictions":[[1,0.1],[-0.0,1e+20]]})"},
      {{kY, kText},
       FormOf(Kind::kPredictions),
       R"({"predictions":[{"y":[1,0.1],"s":"a\"\u000a"},{"y":[-0.0,1e+20],"s":"€"}]})"},
      {{kY}, FormOf(Kind::kOutputs), R"({"outputs":[[1,0.1],[-0.0,1e+20]]})"},
      {{kText, kY},
       FormOf(Kind::kOutputs),
       R"({"outputs":{"s":["a\"\u000a","€"],"y":[[1,0.1],[-0.0,1e+20]]}})"},
      {{bytes}, FormOf(Kind::kPredictions), R"({"predictions":[{"b64":"/w=="},{"b64":"aGk="}]})"},
      {{one, kText}, FormOf(Kind::kPlain, true), R"({"y":[0.5,2]})"},
      {{one}, FormOf(Kind::kPlain), R"({"y":[[0.5,2]]})"},
      {{kY}, FormOf(Kind::kPlain, true), R"({"y":[[1,0.1],[-0.0,1e+20]]})"},
      {{{"n", "INT8", {}, "\x05"}}, FormOf(Kind::kOutputs), R"({"outputs":5})"},
      {{{"n", "BOOL", {3}, std::string("\0\1\2", 3)}},
       FormOf(Kind::kOutputs),
       R"({"outputs":[false,true,true]})"},
      {{{"n", "FP16", {2}, Raw<uint16_t>({0x2E66, 0x8000})}},
       FormOf(Kind::kOutputs),
       R"({"outputs":[0.1,-0.0]})"},
      {{{"n", "INT64", {1}, Raw<int64_t>({std::numeric_limits<int64_t>::min()})}},
       FormOf(Kind::kOutputs),
       R"({"outputs":[-9223372036854775808]})"},
      {{{"n", "FP32", {2, 0}, ""}}, FormOf(Kind::kOutputs), R"({"outputs":[[],[]]})"},
      {{{"n", "FP32", {0, 1LL << 40}, ""}}, FormOf(Kind::kOutputs), R"({"outputs":[]})"},
  };
  RestCodec codec;
  for (const Row& row : rows) {
    INFO(row.json);
    const std::string response = Response(row.outputs, "7");
    const auto answer = codec.WriteAnswer(response, row.form);
    INFO(std::string(answer.status().message()));
    REQUIRE(answer.ok());
    CHECK(Joined(answer->pieces) == row.json);
    CHECK(answer->size == row.json.size());
    CHECK(answer->content_type == "application/json");
    CHECK(!answer->inference_header_length);
  }
}

TEST_CASE("Answer: outputs as binary data behind the JSON", "[gateway][rest]") {
  RestCodec codec;
  AnswerForm form;
  form.binary = true;
  form.exceptions = {"s"};
  const std::string response = Response({kY, kText, {"e", "INT8", {0}, ""}});
  const auto answer = codec.WriteAnswer(response, form);
  REQUIRE(answer.ok());
  const std::string json =
      R"({"model_name":"m","model_version":"1","id":"","outputs":[)"
      R"({"name":"y","datatype":"FP32","shape":[2,2],"parameters":{"binary_data_size":16}},)"
      R"({"name":"s","datatype":"BYTES","shape":[2],"data":["a\"\u000a","€"]},)"
      R"({"name":"e","datatype":"INT8","shape":[0],"parameters":{"binary_data_size":0}}]})";
  CHECK(Joined(answer->pieces) == json + kY.data);
  CHECK(answer->content_type == "application/octet-stream");
  CHECK(answer->inference_header_length == json.size());
}

TEST_CASE("Answer: parameters and typed contents of a worker not ours", "[gateway][rest]") {
  inference::ModelInferResponse response;
  response.set_model_name("m");
  auto& parameters = *response.mutable_parameters();
  parameters["k\""].set_uint64_param(std::numeric_limits<uint64_t>::max());
  auto& output = *response.add_outputs();
  output.set_name("y");
  output.set_datatype("INT8");
  output.add_shape(2);
  (*output.mutable_parameters())["b"].set_bool_param(false);
  output.mutable_contents()->add_int_contents(-1);
  output.mutable_contents()->add_int_contents(5);
  RestCodec codec;
  const std::string bytes = response.SerializeAsString();
  const auto answer = codec.WriteAnswer(bytes, {});
  REQUIRE(answer.ok());
  CHECK(Joined(answer->pieces) ==
        R"({"model_name":"m","id":"","parameters":{"k\"":18446744073709551615},"outputs":[)"
        R"({"name":"y","datatype":"INT8","shape":[2],"parameters":{"b":false},"data":[-1,5]}]})");
}

TEST_CASE("Answer: what JSON cannot carry says how to get it", "[gateway][rest]") {
  const float infinity = std::numeric_limits<float>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const OutputCase outputs[] = {
      {"y", "FP32", {2}, Raw<float>({1, infinity})}, {"y", "FP64", {1}, Raw<double>({nan})},
      {"y", "FP16", {1}, Raw<uint16_t>({0xFC00})},   {"y", "BF16", {1}, Raw<uint16_t>({0x7FC0})},
      {"y", "BYTES", {1}, RawTexts({"\xff"})},
  };
  RestCodec codec;
  for (const OutputCase& output : outputs) {
    const std::string response = Response({output});
    for (const auto kind : {AnswerForm::Kind::kInfer, AnswerForm::Kind::kPredictions,
                            AnswerForm::Kind::kOutputs, AnswerForm::Kind::kPlain}) {
      const auto answer = codec.WriteAnswer(response, FormOf(kind));
      CHECK(answer.status().code() == absl::StatusCode::kFailedPrecondition);
      CHECK(std::string(answer.status().message()).find("binary_data") != std::string::npos);
    }
    AnswerForm binary;
    binary.binary = true;
    CHECK(codec.WriteAnswer(response, binary).ok());
  }
}

TEST_CASE("Answer: a response that does not fit itself is INTERNAL", "[gateway][rest]") {
  const std::vector<std::vector<OutputCase>> broken = {
      {{"y", "FP8", {1}, "1"}},
      {{"y", "FP32", {-1}, ""}},
      {{"y", "FP32", {2}, "1234"}},
      {{"y", "FP32", {1}, "12345"}},
      {{"y", "FP32", {1LL << 40, 1LL << 40}, ""}},
      {{"y", "BYTES", {1}, std::string("\5\0\0\0x", 5)}},
      {{"y", "BYTES", {2}, RawTexts({"x"})}},
      {{"y", "FP32", {1LL << 40, 0}, ""}},
  };
  RestCodec codec;
  for (const auto& outputs : broken) {
    const std::string response = Response(outputs);
    CHECK(codec.WriteAnswer(response, FormOf(AnswerForm::Kind::kOutputs)).status().code() ==
          absl::StatusCode::kInternal);
  }
  CHECK(codec.WriteAnswer("\xff", {}).status().code() == absl::StatusCode::kInternal);
  CHECK(codec.WriteAnswer("", FormOf(AnswerForm::Kind::kPlain)).status().code() ==
        absl::StatusCode::kInternal);
  const std::string ragged = Response({kY, {"z", "INT8", {1}, "1"}});
  CHECK(codec.WriteAnswer(ragged, FormOf(AnswerForm::Kind::kPredictions)).status().code() ==
        absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace torchfleet::gateway::rest
