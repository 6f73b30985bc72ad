// What becomes of calls that are odd, many, or met by a drain.

#include <grpcpp/generic/generic_stub.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <future>
#include <thread>

#include "base/status.h"
#include "tests/unit/model-worker/served_worker.h"
#include "wire/caller.h"
#include "wire/load_report.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("Worker: drains: not ready at once, what runs is answered, new calls are not taken",
          "[worker][drain]") {
  Gate gate;
  Served served("", [&](const auto&, const auto&) { return std::make_unique<GatedModel>(gate); });
  ModelInferResponse response, late_response;
  auto running = std::async([&] { return served.Infer(Text("runs"), &response); });
  REQUIRE(gate.WaitForEntered(1));
  std::thread drain([&] { served.worker().Drain(absl::ZeroDuration(), absl::Seconds(30)); });
  absl::Status late;
  do {
    late = served.Infer(Text("late"), &late_response, absl::Milliseconds(100));
  } while (absl::IsDeadlineExceeded(late));
  INFO(late.ToString());
  CHECK(absl::IsUnavailable(late));
  gate.Open();
  CHECK(running.get().ok());
  CHECK(response.id() == "id of runs");
  drain.join();
}

// A ModelInfer call of these messages, be they what they are.
absl::Status InferOf(const std::string& address, const std::vector<std::string>& messages) {
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  const auto call =
      stub.PrepareCall(&context, "/inference.GRPCInferenceService/ModelInfer", &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  for (const std::string& message : messages) {
    const grpc::Slice slice(message);
    call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    queue.Next(&tag, &ok);
  }
  call->WritesDone(nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  queue.Next(&tag, &ok);
  grpc::Status status;
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  return FromGrpc(status);
}

TEST_CASE("Worker: a gateway reads with the answer how busy the worker is, others do not",
          "[worker][front]") {
  Served served("instance_group { count: 2 }");
  for (const bool gateway : {true, false}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    if (gateway) context.AddMetadata(wire::kCallerHeader, "somebody");
    ModelInferResponse response;
    REQUIRE(served.stub().ModelInfer(&context, Text("x"), &response).ok());
    const auto& trailers = context.GetServerTrailingMetadata();
    REQUIRE(trailers.count(wire::kLoadHeader) == (gateway ? 1 : 0));
    if (gateway) CHECK(trailers.find(wire::kLoadHeader)->second == "0 2");
  }
}

TEST_CASE("Worker: a call has one message, and it is a request", "[worker][front]") {
  Served served;
  const std::string& address = served.worker().address();
  const std::string request = Text("x").SerializeAsString();
  CHECK(InferOf(address, {request}).message() == "");
  CHECK(absl::IsInternal(InferOf(address, {})));
  CHECK(absl::IsInternal(InferOf(address, {request, request})));
  const absl::Status malformed = InferOf(address, {"\xff\xff no message"});
  CHECK(absl::IsInvalidArgument(malformed));
  CHECK_THAT(std::string(malformed.message()), ContainsSubstring("well-formed"));
  ModelInferResponse response;
  CHECK(served.Infer(Text("still here"), &response).ok());
}

TEST_CASE("Worker: each of many calls at once gets its own answer, large or small",
          "[worker][front]") {
  Served served("instance_group { count: 2 }");
  constexpr int kCalls = 400;
  std::vector<ModelInferRequest> requests;
  std::vector<ModelInferResponse> responses(kCalls);
  std::vector<grpc::ClientContext> contexts(kCalls);
  std::vector<std::promise<grpc::Status>> ended(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    requests.push_back(Text(std::to_string(i) + std::string(i % 10 == 0 ? 100000 : 10, 'x')));
  }
  // Callers that go away have a connection of their own: gRPC 1.51 may reset a
  // stream that it has not opened yet, for which the connection must end.
  grpc::ChannelArguments own;
  own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto leaving = GRPCInferenceService::NewStub(grpc::CreateCustomChannel(
      served.worker().address(), grpc::InsecureChannelCredentials(), own));
  for (int i = 0; i < kCalls; ++i) {
    const auto at = static_cast<size_t>(i);
    (i % 7 == 3 ? *leaving : served.stub())
        .async()
        ->ModelInfer(&contexts[at], &requests[at], &responses[at],
                     [&ended, at](const grpc::Status& status) { ended[at].set_value(status); });
    if (i % 7 == 3) contexts[at].TryCancel();
  }
  for (size_t at = 0; at < kCalls; ++at) {
    const grpc::Status status = ended[at].get_future().get();
    if (at % 7 == 3 && !status.ok()) continue;
    INFO(status.error_message());
    CHECK(status.ok());
    if (!status.ok()) continue;
    CHECK(responses[at].id() == requests[at].id());
    CHECK(responses[at].raw_output_contents(0) ==
          Raw(requests[at].inputs(0).contents().bytes_contents(0)));
  }
}

TEST_CASE("Worker: a drain that is over lets callers go, and waits for the model",
          "[worker][drain]") {
  Gate gate;
  Served served("", [&](const auto&, const auto&) { return std::make_unique<GatedModel>(gate); });
  ModelInferResponse running_response, waiting_response;
  auto running = std::async([&] { return served.Infer(Text("runs"), &running_response); });
  REQUIRE(gate.WaitForEntered(1));
  auto waiting = std::async([&] { return served.Infer(Text("waits"), &waiting_response); });
  std::promise<void> drained;
  std::thread drain([&] {
    served.worker().Drain(absl::ZeroDuration(), absl::ZeroDuration());
    drained.set_value();
  });
  CHECK(absl::IsUnavailable(waiting.get()));
  CHECK(absl::IsUnavailable(running.get()));
  auto over = drained.get_future();
  CHECK(over.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  gate.Open();
  drain.join();
  CHECK_FALSE(gate.Ran("waits"));
}

}  // namespace
}  // namespace torchfleet::worker
