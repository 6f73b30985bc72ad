#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>

#include "gateway/protocol/stream/stream_infer_call.h"
#include "tests/unit/gateway/fake_backend.h"

namespace torchfleet::gateway {
namespace {

using inference::ModelInferRequest;
using inference::ModelStreamInferResponse;

// A stream with a deadline that no test should meet.
struct OpenStream {
  explicit OpenStream(TestGateway& gateway, bool grpc_errors = false) {
    context.set_deadline(After(absl::Seconds(30)));
    if (grpc_errors) context.AddMetadata("triton_grpc_error", "true");
    stream = gateway.stub().ModelStreamInfer(&context);
  }
  void Send(const std::string& model, const std::string& id, size_t padding = 0) {
    ModelInferRequest request;
    request.set_model_name(model);
    request.set_id(id);
    if (padding > 0) request.add_raw_input_contents(std::string(padding, 'x'));
    REQUIRE(stream->Write(request));
  }

  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<ModelInferRequest, ModelStreamInferResponse>> stream;
};

TEST_CASE("StreamInfer: every request gets its own answer", "[gateway][stream]") {
  TestGateway gateway;
  FakeBackend m, n;
  gateway.SetFleet({{"a", "m", "1", m.address()}, {"b", "n", "1", n.address()}});
  OpenStream open(gateway);
  constexpr int kRequests = 200;  // more than may run at once
  std::set<std::string> expected, came;
  for (int i = 0; i < kRequests; ++i) {
    open.Send(i % 2 == 0 ? "m" : "n", std::to_string(i), i == 7 ? 2 << 20 : 0);
    expected.insert(std::to_string(i));
  }
  open.stream->WritesDone();
  for (ModelStreamInferResponse answer; open.stream->Read(&answer);) {
    CHECK(answer.error_message().empty());
    came.insert(answer.infer_response().id());
  }
  CHECK(open.stream->Finish().ok());
  CHECK(came == expected);
  CHECK(m.calls().value() + n.calls().value() == kRequests);
}

TEST_CASE("StreamInfer: a request that fails says which, and the stream goes on",
          "[gateway][stream]") {
  TestGateway gateway;
  FakeBackend backend;
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  OpenStream open(gateway);
  ModelStreamInferResponse answer;
  open.Send("nobody's", "first");
  REQUIRE(open.stream->Read(&answer));
  CHECK(answer.error_message() == "there is no model 'nobody's'");
  CHECK(answer.infer_response().id() == "first");
  open.Send("m", "second");
  REQUIRE(open.stream->Read(&answer));
  CHECK(answer.error_message().empty());
  CHECK(answer.infer_response().id() == "second");
  open.stream->WritesDone();
  CHECK_FALSE(open.stream->Read(&answer));
  CHECK(open.stream->Finish().ok());
}

TEST_CASE("StreamInfer: who asks for gRPC's errors gets the status", "[gateway][stream]") {
  TestGateway gateway;
  gateway.SetFleet({});
  OpenStream open(gateway, /*grpc_errors=*/true);
  open.Send("nobody's", "first");
  ModelStreamInferResponse answer;
  CHECK_FALSE(open.stream->Read(&answer));
  CHECK(open.stream->Finish().error_code() == grpc::StatusCode::NOT_FOUND);
}

TEST_CASE("StreamInfer: who goes away cancels what runs", "[gateway][stream]") {
  TestGateway gateway;
  FakeBackend backend(FakeBackend::Hold);
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  {
    OpenStream open(gateway);
    for (int i = 0; i < 4; ++i) open.Send("m", std::to_string(i));
    REQUIRE(backend.calls().WaitFor(4));
    open.context.TryCancel();
    CHECK(open.stream->Finish().error_code() == grpc::StatusCode::CANCELLED);
  }
  CHECK(backend.cancelled().WaitFor(4));
}

TEST_CASE("StreamInfer: no more than so many requests of a stream run at once",
          "[gateway][stream]") {
  TestGateway gateway;
  FakeBackend backend(FakeBackend::Hold);
  FakeBackend other;
  gateway.SetFleet({{"a", "m", "1", backend.address()}, {"b", "n", "1", other.address()}});
  OpenStream open(gateway);
  const int most = static_cast<int>(StreamInferCall::kMostRunning);
  for (int i = 0; i < most; ++i) open.Send("m", std::to_string(i));
  REQUIRE(backend.calls().WaitFor(most));
  open.Send("n", "late");
  // Another stream is not held up by it.
  OpenStream second(gateway);
  second.Send("n", "free");
  ModelStreamInferResponse answer;
  REQUIRE(second.stream->Read(&answer));
  CHECK(answer.infer_response().id() == "free");
  CHECK(other.calls().value() == 1);
  open.context.TryCancel();
  second.context.TryCancel();
}

}  // namespace
}  // namespace torchfleet::gateway
