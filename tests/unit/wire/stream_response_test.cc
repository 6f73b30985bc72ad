#include "wire/stream_response.h"

#include <catch2/catch_test_macros.hpp>

#include "inference/grpc_service.pb.h"

namespace torchfleet::wire {
namespace {

using inference::ModelStreamInferResponse;

TEST_CASE("StreamResponse: is what Protocol Buffers writes", "[wire][stream]") {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{127}, size_t{128}, size_t{70000}}) {
    ModelStreamInferResponse expected;
    auto& response = *expected.mutable_infer_response();
    if (size > 0) response.set_model_name(std::string(size, 'm'));
    const std::string bytes = response.SerializeAsString();
    CHECK(StreamResponseHead(bytes.size()) + bytes == expected.SerializeAsString());
  }
}

TEST_CASE("StreamError: is what Protocol Buffers writes, with an id or without", "[wire][stream]") {
  for (const char* id : {"", "id"}) {
    ModelStreamInferResponse expected;
    expected.set_error_message("wrong");
    expected.mutable_infer_response()->set_id(id);
    CHECK(StreamError("wrong", id) == expected.SerializeAsString());
  }
}

TEST_CASE("ParseStreamResponse: gives both parts, and takes no other message", "[wire][stream]") {
  ModelStreamInferResponse sent;
  sent.set_error_message("wrong");
  sent.mutable_infer_response()->set_id("id");
  const std::string bytes = sent.SerializeAsString();
  // A varint that nobody knows goes by.
  const std::string message = bytes + "\x78\x05";
  const auto parsed = ParseStreamResponse(message);
  REQUIRE(parsed.ok());
  CHECK(parsed->error_message == "wrong");
  CHECK(parsed->infer_response == sent.infer_response().SerializeAsString());
  CHECK(ParseStreamResponse("")->infer_response.empty());
  for (size_t size = 1; size < bytes.size(); ++size) {
    const auto cut = ParseStreamResponse(bytes.substr(0, size));
    // The first field has seven bytes.
    CHECK(cut.ok() == (size == 7));
  }
}

}  // namespace
}  // namespace torchfleet::wire
