#include "gateway/forward/same_outputs.h"

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <string>

#include "inference/grpc_service.pb.h"
#include "net/grpc/message_reader.h"

namespace torchfleet::gateway {
namespace {

using Response = inference::ModelInferResponse;

Response AnAnswer() {
  Response answer;
  answer.set_model_name("mnist");
  answer.set_model_version("1");
  answer.set_id("a");
  auto& output = *answer.add_outputs();
  output.set_name("scores");
  output.set_datatype("FP32");
  output.add_shape(1);
  output.add_shape(2);
  answer.add_raw_output_contents("12345678");
  return answer;
}

std::string Body(const Response& answer) {
  const std::string message = answer.SerializeAsString();
  std::string body(net::kGrpcPrefixSize, '\0');
  net::WriteGrpcPrefix(message.size(), body.data());
  return body + message;
}

bool SameWhen(const std::function<void(Response&)>& change) {
  Response changed = AnAnswer();
  change(changed);
  return SameOutputs(Body(AnAnswer()), Body(changed));
}

TEST_CASE("SameOutputs: ids, names of models and parameters aside", "[gateway][shadow]") {
  CHECK(SameOutputs(Body(AnAnswer()), Body(AnAnswer())));
  CHECK(SameWhen([](Response& answer) {
    answer.set_id("another");
    answer.set_model_name("twin");
    answer.set_model_version("2");
    (*answer.mutable_parameters())["time"].set_int64_param(3);
  }));
  CHECK(SameOutputs(Body(Response()), Body(Response())));
}

TEST_CASE("SameOutputs: any byte of an output, its name, datatype, shape and place count",
          "[gateway][shadow]") {
  CHECK_FALSE(SameWhen([](Response& a) { a.set_raw_output_contents(0, "12345679"); }));
  CHECK_FALSE(SameWhen([](Response& a) { a.set_raw_output_contents(0, "1234567"); }));
  CHECK_FALSE(SameWhen([](Response& a) { a.mutable_outputs(0)->set_name("labels"); }));
  CHECK_FALSE(SameWhen([](Response& a) { a.mutable_outputs(0)->set_datatype("INT32"); }));
  CHECK_FALSE(SameWhen([](Response& a) { a.mutable_outputs(0)->set_shape(0, 2); }));
  CHECK_FALSE(SameWhen([](Response& a) { a.add_raw_output_contents("more"); }));
  CHECK_FALSE(SameWhen([](Response& a) { a.clear_outputs(); }));
  CHECK_FALSE(SameWhen([](Response& a) { a.clear_raw_output_contents(); }));
}

TEST_CASE("SameOutputs: what cannot be read is the same as nothing", "[gateway][shadow]") {
  const std::string body = Body(AnAnswer());
  const std::string cut = body.substr(0, body.size() - 1);
  CHECK_FALSE(SameOutputs(cut, cut));
  CHECK_FALSE(SameOutputs(body, cut));
  CHECK_FALSE(SameOutputs("", ""));
  CHECK_FALSE(SameOutputs(body, "1234"));
}

}  // namespace
}  // namespace torchfleet::gateway
