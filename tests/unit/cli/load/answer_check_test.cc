#include "cli/load/answer_check.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "inference/grpc_service.pb.h"

namespace torchfleet::cli {
namespace {

inference::ModelInferResponse Response(const std::string& id, const std::vector<float>& values,
                                       const std::string& name = "y") {
  inference::ModelInferResponse response;
  response.set_id(id);
  auto* output = response.add_outputs();
  output->set_name(name);
  output->set_datatype("FP32");
  output->add_shape(static_cast<int64_t>(values.size()));
  response.add_raw_output_contents(reinterpret_cast<const char*>(values.data()),
                                   values.size() * sizeof(float));
  return response;
}

std::string Message(const std::string& id, const std::vector<float>& values,
                    const std::string& name = "y") {
  return Response(id, values, name).SerializeAsString();
}

// What the check says of `answer` to the call "b", when `first` was the answer
// to the call "a" with the same request.
std::string Said(const AnswerCheck& check, const std::string& first, const std::string& answer) {
  std::optional<CheckedAnswer> kept;
  REQUIRE(check.Compare(first, "a", kept).ok());
  REQUIRE(kept);
  return std::string(check.Compare(answer, "b", kept).message());
}

TEST_CASE("GrpcAnswerCheck: the same answer passes, and one that rounds differently",
          "[cli][load]") {
  const auto check = GrpcAnswerCheck();
  const std::string first = Message("a", {1, -2000, 0, 1e-9F});
  CHECK(Said(*check, first, Message("b", {1, -2000, 0, 1e-9F})) == "");
  CHECK(Said(*check, first, Message("b", {1.00005F, -2000.1F, 5e-6F, 0})) == "");
}

TEST_CASE("GrpcAnswerCheck: what differs is said", "[cli][load]") {
  const auto check = GrpcAnswerCheck();
  const std::string first = Message("a", {1, 2});
  CHECK(Said(*check, first, Message("a", {1, 2})) == "the answer to call 'b' has the id 'a'");
  CHECK(Said(*check, first, Message("", {1, 2})) == "the answer to call 'b' has the id ''");
  CHECK(Said(*check, first, Message("b", {1, 2.001F})) ==
        "the data of output \"y\" is not what it was in the first answer to the same request");
  CHECK(Said(*check, first, Message("b", {1, 2, 3})).starts_with("the shape of output \"y\""));
  CHECK(Said(*check, first, Message("b", {1, 2}, "z")).starts_with("the name of output \"y\""));
  auto two = Response("b", {1, 2});
  two.MergeFrom(Response("b", {1, 2}));
  CHECK(Said(*check, first, two.SerializeAsString()) ==
        "an answer has 2 outputs where the first had 1");
  CHECK(Said(*check, first, "\xff\xff") == "the answer is no ModelInferResponse");
}

TEST_CASE("GrpcAnswerCheck: an answer with fewer bytes than its shape needs is none",
          "[cli][load]") {
  auto response = Response("b", {1, 2});
  response.mutable_raw_output_contents(0)->resize(7);
  CHECK(Said(*GrpcAnswerCheck(), Message("a", {1, 2}), response.SerializeAsString()) != "");
}

TEST_CASE("GrpcAnswerCheck: whole numbers and texts are to be the very same", "[cli][load]") {
  const auto check = GrpcAnswerCheck();
  const auto typed = [](const std::string& id, const std::string& type, const std::string& bytes) {
    inference::ModelInferResponse response;
    response.set_id(id);
    auto* output = response.add_outputs();
    output->set_name("y");
    output->set_datatype(type);
    output->add_shape(1);
    response.add_raw_output_contents(bytes);
    return response.SerializeAsString();
  };
  const std::string million("\x40\x42\x0f\x00", 4), and_one("\x41\x42\x0f\x00", 4);
  CHECK(Said(*check, typed("a", "INT32", million), typed("b", "INT32", million)) == "");
  CHECK(Said(*check, typed("a", "INT32", million), typed("b", "INT32", and_one)) != "");
  const std::string text("\2\0\0\0ab", 6), other("\2\0\0\0ac", 6);
  CHECK(Said(*check, typed("a", "BYTES", text), typed("b", "BYTES", text)) == "");
  CHECK(Said(*check, typed("a", "BYTES", text), typed("b", "BYTES", other)) != "");
}

std::string Document(const std::string& id, const std::string& data,
                     const std::string& shape = "[2]") {
  return R"({"model_name":"m","id":")" + id +
         R"(","outputs":[{"name":"y","datatype":"FP32","shape":)" + shape + R"(,"data":)" + data +
         "}]}";
}

TEST_CASE("RestAnswerCheck: as over gRPC, however the numbers are written", "[cli][load]") {
  const auto check = RestAnswerCheck();
  const std::string first = Document("a", "[1.0,2.5]");
  CHECK(Said(*check, first, Document("b", "[1,2.5]")) == "");
  CHECK(Said(*check, first, Document("b", "[1.0,25e-1]")) == "");
  CHECK(Said(*check, first, Document("b", "[1.0,2.6]")).starts_with("the data of output"));
  CHECK(Said(*check, first, Document("b", "[1.0]")).starts_with("the data of output"));
  CHECK(Said(*check, first, Document("b", "[1.0,\"2.5\"]")).starts_with("the data of output"));
  CHECK(Said(*check, first, Document("b", "[1,2.5]", "[1,2]")).starts_with("the shape of output"));
  CHECK(Said(*check, first, Document("a", "[1,2.5]")) == "the answer to call 'b' has the id 'a'");
}

TEST_CASE("RestAnswerCheck: what is no answer is said to be none", "[cli][load]") {
  const auto check = RestAnswerCheck();
  const std::string first = Document("a", "[1.0,2.5]");
  for (const char* text : {"", "oops", "[]", "{}", R"({"id":"b"})", R"({"outputs":7})"}) {
    CAPTURE(text);
    CHECK(Said(*check, first, text) == "the answer is no JSON object with outputs");
  }
  CHECK(Said(*check, first, R"({"id":"b","outputs":[7]})") == "an output is no JSON object");
  CHECK(Said(*check, first, R"({"id":7,"outputs":[]})") == "the answer to call 'b' has the id ''");
  CHECK(Said(*check, first, R"({"id":"b","outputs":[]})") ==
        "an answer has 0 outputs where the first had 1");
}

}  // namespace
}  // namespace torchfleet::cli
