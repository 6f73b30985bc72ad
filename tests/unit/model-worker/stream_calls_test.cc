// ModelStreamInfer straight to a worker.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <future>
#include <set>
#include <thread>

#include "model-worker/front/stream_call.h"
#include "tests/unit/model-worker/served_worker.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;
using inference::ModelStreamInferResponse;

// A stream with a deadline that no test should meet, unless it says so.
struct OpenStream {
  explicit OpenStream(Served& served, bool grpc_errors = false,
                      absl::Duration timeout = absl::Seconds(30)) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    if (grpc_errors) context.AddMetadata("triton_grpc_error", "true");
    stream = served.stub().ModelStreamInfer(&context);
  }
  ModelStreamInferResponse Read() {
    ModelStreamInferResponse answer;
    REQUIRE(stream->Read(&answer));
    return answer;
  }
  absl::Status End() {
    ModelStreamInferResponse answer;
    while (stream->Read(&answer)) continue;
    return FromGrpc(stream->Finish());
  }

  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<ModelInferRequest, ModelStreamInferResponse>> stream;
};

ModelLoader Behind(Gate& gate) {
  return [&gate](const auto&, const auto&) { return std::make_unique<GatedModel>(gate); };
}

ModelInferRequest Unknown() {
  ModelInferRequest request = Text("unknown");
  request.set_model_name("nobody's");
  return request;
}

TEST_CASE("WorkerStream: every request gets its own answer, large or small", "[worker][stream]") {
  Served served("instance_group { count: 2 }");
  OpenStream open(served);
  std::set<std::string> expected, came;
  std::thread writes([&] {
    for (int i = 0; i < 200; ++i) {  // more than may run at once
      const std::string text = std::to_string(i) + std::string(i % 10 == 0 ? 300000 : 10, 'x');
      expected.insert(text);
      if (!open.stream->Write(Text(text))) break;
    }
    open.stream->WritesDone();
  });
  for (ModelStreamInferResponse answer; open.stream->Read(&answer);) {
    CHECK(answer.error_message().empty());
    const std::string text = answer.infer_response().raw_output_contents(0).substr(4);
    CHECK(answer.infer_response().id() == "id of " + text);
    came.insert(text);
  }
  writes.join();
  CHECK(open.stream->Finish().ok());
  CHECK(came == expected);
}

TEST_CASE("WorkerStream: answers come while the stream is open", "[worker][stream]") {
  Served served;
  OpenStream open(served);
  for (const char* text : {"first", "second"}) {
    REQUIRE(open.stream->Write(Text(text)));
    CHECK(open.Read().infer_response().raw_output_contents(0) == Raw(text));
  }
  open.stream->WritesDone();
  CHECK(open.End().ok());
}

TEST_CASE("WorkerStream: a stream without requests ends well", "[worker][stream]") {
  Served served;
  OpenStream open(served);
  open.stream->WaitForInitialMetadata();
  open.stream->WritesDone();
  CHECK(open.End().ok());
}

TEST_CASE("WorkerStream: a request that fails says which, and the stream goes on",
          "[worker][stream]") {
  Served served;
  OpenStream open(served);
  ModelInferRequest wrong = Text("wrong");
  wrong.mutable_inputs(0)->set_datatype("FP32");
  for (const auto& [request, expected] :
       {std::pair(Unknown(), "this worker serves 'echo'"), {wrong, "input 'text'"}}) {
    REQUIRE(open.stream->Write(request));
    const ModelStreamInferResponse answer = open.Read();
    CHECK_THAT(answer.error_message(), ContainsSubstring(expected));
    CHECK(answer.infer_response().id() == request.id());
  }
  REQUIRE(open.stream->Write(Text("well")));
  CHECK(open.Read().infer_response().id() == "id of well");
  open.stream->WritesDone();
  CHECK(open.End().ok());
}

TEST_CASE("WorkerStream: many requests that fail at once are each answered", "[worker][stream]") {
  Served served;
  OpenStream open(served);
  constexpr int kRequests = 1000;
  for (int i = 0; i < kRequests; ++i) REQUIRE(open.stream->Write(Unknown()));
  open.stream->WritesDone();
  int failed = 0;
  for (ModelStreamInferResponse answer; open.stream->Read(&answer);) {
    failed += answer.error_message().empty() ? 0 : 1;
  }
  CHECK(open.stream->Finish().ok());
  CHECK(failed == kRequests);
}

TEST_CASE("WorkerStream: who asks for gRPC's errors gets the status", "[worker][stream]") {
  Gate gate;
  Served served("", Behind(gate));
  OpenStream open(served, /*grpc_errors=*/true);
  REQUIRE(open.stream->Write(Text("runs")));
  REQUIRE(gate.WaitForEntered(1));
  REQUIRE(open.stream->Write(Unknown()));
  CHECK(absl::IsNotFound(open.End()));
  gate.Open();
}

TEST_CASE("WorkerStream: who goes away cancels what waits", "[worker][stream]") {
  Gate gate;
  Served served("", Behind(gate), /*queue_size=*/1);
  OpenStream open(served);
  REQUIRE(open.stream->Write(Text("runs")));
  REQUIRE(gate.WaitForEntered(1));
  REQUIRE(open.stream->Write(Text("waits")));
  REQUIRE(open.stream->Write(Text("too many")));
  CHECK_THAT(open.Read().error_message(), ContainsSubstring("the queue is full"));
  open.context.TryCancel();
  CHECK(absl::IsCancelled(open.End()));
  WaitForRoom(served);
  gate.Open();
  ModelInferResponse response;
  CHECK(served.Infer(Text("after"), &response).ok());
  CHECK_FALSE(gate.Ran("waits"));
}

TEST_CASE("WorkerStream: the deadline ends the stream and all that waits", "[worker][stream]") {
  Gate gate;
  Served served("", Behind(gate), /*queue_size=*/1);
  ModelInferResponse response;
  auto running = std::async([&] { return served.Infer(Text("runs"), &response); });
  REQUIRE(gate.WaitForEntered(1));
  OpenStream open(served, /*grpc_errors=*/false, absl::Milliseconds(300));
  open.stream->Write(Text("waits"));
  CHECK(absl::IsDeadlineExceeded(open.End()));
  // The worker's clock for it may be a little behind the caller's.
  WaitForRoom(served);
  gate.Open();
  CHECK(running.get().ok());
  ModelInferResponse after;
  CHECK(served.Infer(Text("after"), &after).ok());
  CHECK_FALSE(gate.Ran("waits"));
}

TEST_CASE("WorkerStream: no more than so many requests of a stream are taken at once",
          "[worker][stream]") {
  constexpr size_t kMost = StreamCall::kMostRunning;
  Gate gate;
  // One runs, and another call finds the last place in the queue.
  Served served("", Behind(gate), /*queue_size=*/kMost);
  OpenStream open(served);
  for (size_t i = 0; i < 2 * kMost; ++i) {
    REQUIRE(open.stream->Write(Text("of the stream")));
    if (i == 0) REQUIRE(gate.WaitForEntered(1));
  }
  ModelInferResponse response;
  CHECK(absl::IsDeadlineExceeded(served.Infer(Text("other"), &response, absl::Milliseconds(200))));
  // Its place is free a moment later, or the stream would find the queue full.
  WaitForDepth(served, kMost - 1);
  gate.Open();
  open.stream->WritesDone();
  size_t answers = 0;
  for (ModelStreamInferResponse answer; open.stream->Read(&answer);) {
    answers += answer.error_message().empty() ? 1 : 0;
  }
  CHECK(open.stream->Finish().ok());
  CHECK(answers == 2 * kMost);
}

TEST_CASE("WorkerStream: a worker that drains takes no more of a stream's requests",
          "[worker][stream][drain]") {
  Gate gate;
  Served served("", Behind(gate));
  OpenStream open(served);
  REQUIRE(open.stream->Write(Text("runs")));
  REQUIRE(gate.WaitForEntered(1));
  std::thread drain([&] { served.worker().Drain(absl::ZeroDuration(), absl::Seconds(30)); });
  ModelInferResponse response;
  absl::Status late;
  do {
    late = served.Infer(Text("late"), &response, absl::Milliseconds(100));
  } while (absl::IsDeadlineExceeded(late));
  REQUIRE(open.stream->Write(Text("late")));
  CHECK_THAT(open.Read().error_message(), ContainsSubstring("takes no more calls"));
  gate.Open();
  CHECK(open.Read().infer_response().id() == "id of runs");
  open.stream->WritesDone();
  CHECK(open.End().ok());
  drain.join();
}

TEST_CASE("Worker: an answer tells that it is the last to who asks", "[worker][stream]") {
  Served served;
  OpenStream open(served);
  ModelInferRequest request = Text("x");
  auto& asks = (*request.mutable_parameters())["triton_enable_empty_final_response"];
  for (const bool asked : {true, false}) {
    asks.set_bool_param(asked);
    REQUIRE(open.stream->Write(request));
    const auto streamed = open.Read().infer_response();
    CHECK(streamed.raw_output_contents_size() == 1);
    CHECK(streamed.parameters().count("triton_final_response") == (asked ? 1 : 0));
    if (asked) CHECK(streamed.parameters().at("triton_final_response").bool_param());
    ModelInferResponse unary;
    REQUIRE(served.Infer(request, &unary).ok());
    CHECK(unary.SerializeAsString() == streamed.SerializeAsString());
  }
  asks.set_string_param("yes");
  REQUIRE(open.stream->Write(request));
  CHECK_THAT(open.Read().error_message(), ContainsSubstring("is no bool_param"));
  open.stream->WritesDone();
  CHECK(open.End().ok());
}

}  // namespace
}  // namespace torchfleet::worker
