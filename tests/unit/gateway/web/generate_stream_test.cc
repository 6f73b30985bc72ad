// generate_stream before a worker that gives several answers: the entry of gRPC
// calls is the test's own.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "gateway/discover/fleet.h"
#include "gateway/forward/method_names.h"
#include "gateway/protocol/web/rest_call.h"
#include "inference/grpc_service.pb.h"
#include "net/grpc/incoming.h"
#include "net/grpc/status.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

using Catch::Matchers::ContainsSubstring;
using inference::ModelStreamInferResponse;
using nlohmann::json;

constexpr char kBody[] = R"({"id":"7","text_input":"Hi","parameters":{"details":true}})";

// The caller's side: a request, and what was sent back.
class CallersStream final : public net::Stream {
 public:
  CallersStream() {
    headers_.Add(":method", "POST");
    headers_.Add(":path", "/v2/models/m/generate_stream");
    headers_.Add("origin", "http://localhost:1");
    headers_.Add("x-request-id", "mine");
  }
  void SendHeaders(const net::Headers& headers, bool end) override {
    answer = headers;
    ended = end;
  }
  void Send(net::Slice body, bool end) override { SendCopy(body.bytes(), end); }
  void SendCopy(std::string_view part, bool end) override {
    body.append(part);
    ended = ended || end;
  }
  void SendTrailers(const net::Headers&) override { ended = true; }
  void Reset(net::CloseCode) override {}
  void Consumed(size_t) override {}
  void AwaitBody(bool) override {}
  size_t waiting() const override { return unread; }

  net::Headers answer;
  std::string body;
  size_t unread = 0;
  bool ended = false;
};

// The worker's side: takes the call that REST makes, and answers as the test says.
class Workers final : public GrpcEntry, public net::StreamHandler {
 public:
  net::StreamHandler& Enter(net::Stream& call, CallRecord&) override {
    call_ = &call;
    return *this;
  }
  void OnHeaders(net::Stream&, bool) override {}
  void OnBody(net::Stream&, const net::Slice& bytes) override { request.append(bytes.bytes()); }
  void OnEnd(net::Stream&) override {}
  void OnSent(net::Stream&, size_t count) override { taken += count; }
  void OnClosed(net::Stream&, net::CloseCode) override { closed = true; }

  std::string header(std::string_view name) const {
    return std::string(call_->headers().ValueOr(name, ""));
  }
  void Answer(const std::string& text) {
    ModelStreamInferResponse response;
    auto& answer = *response.mutable_infer_response();
    answer.set_model_name("m");
    if (!text.empty()) {
      auto& output = *answer.add_outputs();
      output.set_name("text_output");
      output.set_datatype("BYTES");
      output.add_shape(1);
      output.mutable_contents()->add_bytes_contents(text);
    }
    net::SendGrpcMessage(*call_, response.SerializeAsString());
  }
  void Finish(const net::GrpcStatus& status) {
    net::Headers trailers;
    net::AddGrpcStatus(status, trailers);
    call_->SendTrailers(trailers);
  }

  std::string request;
  size_t taken = 0;
  bool closed = false;

 private:
  net::Stream* call_ = nullptr;
};

// A call that has come, up to the worker.
struct Called {
  Called() {
    auto endpoint = MakeEndpoint("a", "m", "1");
    for (auto* tensor :
         {endpoint.mutable_worker()->add_inputs(), endpoint.mutable_worker()->add_outputs()}) {
      tensor->set_datatype("BYTES");
      tensor->add_shape(-1);
    }
    endpoint.mutable_worker()->mutable_inputs(0)->set_name("text_input");
    endpoint.mutable_worker()->mutable_outputs(0)->set_name("text_output");
    Fleet known;
    known.Apply(MakeSnapshot("i", {endpoint}), Instant());
    fleet.Set(known.Snapshot());
    handler = &pool.Take(caller);
    handler->OnHeaders(caller, /*end=*/false);
    handler->OnBody(caller, net::Slice::Keep(std::string(kBody)));
    handler->OnEnd(caller);
  }
  ~Called() { handler->OnClosed(caller, net::CloseCode::kNoError); }

  // The data of each event.
  std::vector<json> Events() const {
    std::vector<json> events;
    for (size_t at = 0; at < caller.body.size();) {
      const size_t end = caller.body.find("\n\n", at);
      REQUIRE(end != caller.body.npos);
      REQUIRE(caller.body.compare(at, 6, "data: ") == 0);
      events.push_back(json::parse(caller.body.substr(at + 6, end - at - 6)));
      at = end + 2;
    }
    return events;
  }

  const std::unique_ptr<net::Loop> loop = *net::Loop::Create();
  Snapshot<FleetSnapshot> fleet;
  const CrossOrigin origins{{}};
  AccessLogLines log{*loop, nullptr};
  Workers workers;
  RestCallPool pool{*loop, workers, fleet, origins, log};
  CallersStream caller;
  net::StreamHandler* handler = nullptr;
};

TEST_CASE("GenerateStream: is a stream of one request", "[gateway][web]") {
  Called call;
  CHECK(call.workers.header(":path") == kStreamInferMethod);
  CHECK(call.workers.header("triton_grpc_error") == "true");
  CHECK(call.workers.header("x-request-id") == "mine");
  inference::ModelInferRequest request;
  REQUIRE(request.ParseFromString(call.workers.request.substr(net::kGrpcPrefixSize)));
  CHECK(request.id() == "7");
  CHECK(request.inputs(0).name() == "text_input");
  CHECK(request.raw_input_contents(0) == std::string("\2\0\0\0Hi", 6));
  CHECK(call.caller.answer.empty());
}

TEST_CASE("GenerateStream: each answer is an event as soon as it is there", "[gateway][web]") {
  Called call;
  call.workers.Answer("a");
  CHECK(call.caller.answer.ValueOr(":status", "") == "200");
  CHECK(call.caller.answer.ValueOr("content-type", "") == "text/event-stream");
  CHECK(call.caller.answer.ValueOr("x-request-id", "") == "mine");
  CHECK(call.caller.answer.ValueOr("access-control-allow-origin", "") == "http://localhost:1");
  CHECK_FALSE(call.caller.answer.Find("content-length"));
  REQUIRE(call.Events().size() == 1);
  call.workers.Answer("b");
  call.workers.Answer("");  // the last, which says nothing
  REQUIRE(call.Events().size() == 2);
  CHECK(call.Events()[1]["text_output"] == "b");
  CHECK_FALSE(call.caller.ended);
  call.workers.Finish({});
  CHECK(call.caller.ended);
  CHECK(call.Events().size() == 2);
}

TEST_CASE("GenerateStream: what fails before the first event is an error of HTTP",
          "[gateway][web]") {
  for (const auto& [code, status] : {std::pair(absl::StatusCode::kInvalidArgument, "400"),
                                     {absl::StatusCode::kUnavailable, "503"},
                                     {absl::StatusCode::kDeadlineExceeded, "504"}}) {
    Called call;
    call.workers.Finish({code, "because"});
    CHECK(call.caller.answer.ValueOr(":status", "") == status);
    CHECK(call.caller.answer.ValueOr("content-type", "") == "application/json");
    CHECK(call.caller.answer.Find("retry-after").has_value() ==
          (code == absl::StatusCode::kUnavailable));
    CHECK(json::parse(call.caller.body) == json{{"error", "because"}});
    CHECK(call.caller.ended);
  }
}

TEST_CASE("GenerateStream: what fails later is the last event", "[gateway][web]") {
  Called call;
  call.workers.Answer("a");
  call.workers.Finish({absl::StatusCode::kInternal, "the model failed"});
  REQUIRE(call.Events().size() == 2);
  CHECK(call.Events()[1] == json{{"error", "the model failed"}});
  CHECK(call.caller.ended);
  call.workers.Answer("late");
  CHECK(call.Events().size() == 2);
}

TEST_CASE("GenerateStream: an answer that is no text ends the stream", "[gateway][web]") {
  Called call;
  call.workers.Answer("a");
  call.workers.Answer("\xff");
  REQUIRE(call.Events().size() == 2);
  CHECK_THAT(call.Events()[1]["error"].get<std::string>(), ContainsSubstring("not UTF-8"));
  CHECK(call.caller.ended);
}

TEST_CASE("GenerateStream: who does not read holds the model back", "[gateway][web]") {
  Called call;
  call.workers.Answer("a");
  const size_t taken = call.workers.taken;
  CHECK(taken > 0);
  call.caller.unread = 2 << 20;
  call.workers.Answer("b");
  CHECK(call.workers.taken == taken);
  call.caller.unread = 0;
  call.handler->OnSent(call.caller, 1);
  CHECK(call.workers.taken > taken);
}

TEST_CASE("GenerateStream: who goes away cancels the call", "[gateway][web]") {
  bool cancelled = false;
  {
    Called call;
    call.workers.Answer("a");
    call.handler->OnClosed(call.caller, net::CloseCode::kCancel);
    cancelled = call.workers.closed;
    // Used again by the next one.
    call.handler = &call.pool.Take(call.caller);
  }
  CHECK(cancelled);
}

}  // namespace
}  // namespace torchfleet::gateway
