// gRPC's own C++ library and net/ call each other.

#include <grpcpp/grpcpp.h>

#include <catch2/catch_test_macros.hpp>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/grpc_server.h"
#include "inference/grpc_service.grpc.pb.h"
#include "net/client/channel.h"
#include "net/grpc/server_call.h"
#include "net/server/server.h"

namespace torchfleet::net {
namespace {

using inference::GRPCInferenceService;
using inference::ModelInferRequest;
using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;

constexpr char kInfer[] = "/inference.GRPCInferenceService/ModelInfer";
constexpr char kStream[] = "/inference.GRPCInferenceService/ModelStreamInfer";
constexpr absl::Duration kLimit = absl::Seconds(30);

// --- gRPC calls net/ ---

std::string Answer(const ModelInferRequest& request) {
  ModelInferResponse response;
  response.set_id(request.id());
  for (const auto& raw : request.raw_input_contents()) response.add_raw_output_contents(raw);
  return response.SerializeAsString();
}

struct InferHandler : GrpcServerHandler {
  void OnMessage(GrpcServerCall& call, const Slice& message) override {
    ModelInferRequest request;
    request.ParseFromArray(message.bytes().data(), static_cast<int>(message.size()));
    if (request.model_name() == "never") return;  // as if it took for ever
    if (request.model_name() == "fails") {
      Headers trailers;
      trailers.Add("why", "because");
      trailers.Add("bytes-bin", EncodeBase64(std::string("\0\xff", 2)));
      return call.Finish({absl::StatusCode::kAborted, "no: 100 % no\n", "details"}, &trailers);
    }
    Headers metadata;
    metadata.Add("came", call.metadata().ValueOr("sent", "nothing"));
    call.SendMetadata(metadata);
    call.Send(Slice::Keep(Answer(request)));
  }
  void OnHalfClose(GrpcServerCall& call) override {
    if (!waits) call.Finish({});
  }
  void OnDone(GrpcServerCall&, bool finished) override {
    if (!finished) broken.set_value();
  }
  bool waits = false;
  std::promise<void> broken;
};

struct StreamEcho : GrpcServerHandler {
  void OnMessage(GrpcServerCall& call, const Slice& message) override {
    ModelInferRequest request;
    request.ParseFromArray(message.bytes().data(), static_cast<int>(message.size()));
    ModelStreamInferResponse response;
    response.mutable_infer_response()->ParseFromString(Answer(request));
    call.Send(response.SerializeAsString());
  }
  void OnHalfClose(GrpcServerCall& call) override { call.Finish({}); }
  void OnDone(GrpcServerCall&, bool) override {}
};

struct NetServer {
  NetServer() {
    server =
        *Server::Start({.listen = "127.0.0.1:0", .threads = 2, .http2 = {}}, [this](Loop& loop) {
          auto service = std::make_unique<GrpcService>(loop);
          service->Add(kInfer, [this](GrpcServerCall&) { return &infer; });
          service->Add(kStream, [this](GrpcServerCall&) { return &stream; });
          return service;
        });
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    stub = GRPCInferenceService::NewStub(grpc::CreateCustomChannel(
        server->address(), grpc::InsecureChannelCredentials(), arguments));
  }
  InferHandler infer;
  StreamEcho stream;
  std::unique_ptr<Server> server;
  std::unique_ptr<GRPCInferenceService::Stub> stub;
};

ModelInferRequest ARequest(const std::string& id, size_t bytes = 10) {
  ModelInferRequest request;
  request.set_model_name("echo");
  request.set_id(id);
  request.add_raw_input_contents(std::string(bytes, 'r'));
  return request;
}

void Bound(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(kLimit));
}

TEST_CASE("Interop: gRPC calls net/, small, large and with metadata", "[net][interop]") {
  NetServer net;
  for (const size_t bytes :
       {size_t{0}, size_t{1}, size_t{1000}, size_t{100000}, size_t{60} << 20}) {
    grpc::ClientContext context;
    Bound(context);
    context.AddMetadata("sent", "this");
    ModelInferResponse response;
    const auto request = ARequest("mine", bytes);
    const auto status = net.stub->ModelInfer(&context, request, &response);
    REQUIRE(status.ok());
    CHECK(response.id() == "mine");
    CHECK(response.raw_output_contents(0) == request.raw_input_contents(0));
    CHECK(context.GetServerInitialMetadata().find("came")->second == "this");
  }
}

TEST_CASE("Interop: gRPC sees net/'s status, its details and trailers", "[net][interop]") {
  NetServer net;
  grpc::ClientContext context;
  Bound(context);
  auto request = ARequest("mine");
  request.set_model_name("fails");
  ModelInferResponse response;
  const auto status = net.stub->ModelInfer(&context, request, &response);
  CHECK(status.error_code() == grpc::StatusCode::ABORTED);
  CHECK(status.error_message() == "no: 100 % no\n");
  CHECK(status.error_details() == "details");
  const auto& trailers = context.GetServerTrailingMetadata();
  CHECK(trailers.find("why")->second == "because");
  CHECK(trailers.find("bytes-bin")->second == grpc::string_ref("\0\xff", 2));
}

TEST_CASE("Interop: many gRPC threads, every answer the caller's own", "[net][interop]") {
  NetServer net;
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < 8; ++caller) {
      callers.emplace_back([&, caller] {
        for (int i = 0; i < 200; ++i) {
          grpc::ClientContext context;
          Bound(context);
          const auto request =
              ARequest(std::to_string(caller * 1000 + i), static_cast<size_t>(i) * 97);
          ModelInferResponse response;
          const bool ok = net.stub->ModelInfer(&context, request, &response).ok();
          wrong += !ok || response.id() != request.id() ||
                   response.raw_output_contents(0) != request.raw_input_contents(0);
        }
      });
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("Interop: a stream both ways", "[net][interop]") {
  NetServer net;
  grpc::ClientContext context;
  Bound(context);
  const auto stream = net.stub->ModelStreamInfer(&context);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(stream->Write(ARequest(std::to_string(i), static_cast<size_t>(i) * 1000)));
    ModelStreamInferResponse response;
    REQUIRE(stream->Read(&response));
    CHECK(response.infer_response().id() == std::to_string(i));
  }
  stream->WritesDone();
  CHECK(stream->Finish().ok());
}

TEST_CASE("Interop: a caller's cancellation and its deadline reach the handler", "[net][interop]") {
  NetServer net;
  net.infer.waits = true;
  auto request = ARequest("mine");
  request.set_model_name("never");
  ModelInferResponse response;
  grpc::ClientContext context;
  SECTION("cancelled") {
    Bound(context);
    auto call = std::async(std::launch::async,
                           [&] { return net.stub->ModelInfer(&context, request, &response); });
    context.TryCancel();
    CHECK(call.get().error_code() == grpc::StatusCode::CANCELLED);
  }
  SECTION("past its deadline") {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
    CHECK(net.stub->ModelInfer(&context, request, &response).error_code() ==
          grpc::StatusCode::DEADLINE_EXCEEDED);
  }
}

TEST_CASE("Interop: draining loses no call", "[net][interop]") {
  NetServer net;
  std::atomic<int> answered = 0, failed = 0;
  std::atomic<bool> stop = false;
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      while (!stop) {
        grpc::ClientContext context;
        Bound(context);
        ModelInferResponse response;
        const auto status = net.stub->ModelInfer(&context, ARequest("x", 20000), &response);
        if (status.ok()) {
          ++answered;
        } else if (answered > 0) {
          // Nobody listens any more: said before the call was taken.
          failed += status.error_code() != grpc::StatusCode::UNAVAILABLE;
          return;
        }
      }
    });
  }
  while (answered < 100) std::this_thread::yield();
  net.server->Drain(absl::Seconds(10));
  stop = true;
  callers.clear();
  CHECK(failed == 0);
}

// --- net/ calls gRPC ---

class GrpcEcho final : public GRPCInferenceService::Service {
 public:
  grpc::Status ModelInfer(grpc::ServerContext* context, const ModelInferRequest* request,
                          ModelInferResponse* response) override {
    if (request->model_name() == "fails") {
      context->AddTrailingMetadata("why", "because");
      return {grpc::StatusCode::ABORTED, "no: 100 % no\n", "details"};
    }
    if (request->model_name() == "never") {
      while (!context->IsCancelled()) std::this_thread::yield();
      return grpc::Status::CANCELLED;
    }
    response->ParseFromString(Answer(*request));
    return grpc::Status::OK;
  }
  grpc::Status ModelStreamInfer(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<ModelStreamInferResponse, ModelInferRequest>* stream) override {
    ModelInferRequest request;
    while (stream->Read(&request)) {
      ModelStreamInferResponse response;
      response.mutable_infer_response()->ParseFromString(Answer(request));
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
};

// Calls from a loop of the test's own.
struct NetCaller : GrpcClientHandler {
  explicit NetCaller(const std::string& address, Channel::Options options = {})
      : loop(*Loop::Create()), channel(*loop, *ParseAddress(address), options) {}

  GrpcOutcome Call(const std::string& method, const std::vector<std::string>& messages,
                   absl::Duration timeout = kLimit) {
    got.clear();
    auto& call = channel.Call(method, nullptr, timeout, *this);
    for (const auto& message : messages) call.Send(message);
    call.HalfClose();
    if (cancel_at_once) call.Cancel();
    loop->Run();
    return outcome;
  }
  void OnMessage(GrpcClientCall&, const Slice& message) override {
    got.emplace_back(message.bytes());
  }
  void OnDone(GrpcClientCall& call, const GrpcOutcome& end) override {
    outcome = end;
    why = call.trailers().ValueOr("why", "");
    loop->Stop();
  }
  std::unique_ptr<Loop> loop;
  Channel channel;
  std::vector<std::string> got;
  GrpcOutcome outcome;
  std::string why;
  bool cancel_at_once = false;
};

struct GrpcPeer {
  GrpcPeer() : server(*GrpcServer::Start("127.0.0.1:0", {&echo})) {}
  GrpcEcho echo;
  std::unique_ptr<GrpcServer> server;
};

TEST_CASE("Interop: net/ calls gRPC, small and large", "[net][interop]") {
  GrpcPeer peer;
  for (const size_t bytes : {size_t{0}, size_t{1000}, size_t{60} << 20}) {
    NetCaller caller(peer.server->address());
    const auto request = ARequest("mine", bytes);
    const GrpcOutcome outcome = caller.Call(kInfer, {request.SerializeAsString()});
    REQUIRE(outcome.status.ok());
    CHECK(outcome.answered);
    REQUIRE(caller.got.size() == 1);
    CHECK(caller.got[0] == Answer(request));
  }
}

TEST_CASE("Interop: net/ sees gRPC's status, its details and trailers", "[net][interop]") {
  GrpcPeer peer;
  NetCaller caller(peer.server->address());
  auto request = ARequest("mine");
  request.set_model_name("fails");
  const GrpcOutcome outcome = caller.Call(kInfer, {request.SerializeAsString()});
  CHECK(outcome.status.code == absl::StatusCode::kAborted);
  CHECK(outcome.status.message == "no: 100 % no\n");
  CHECK(outcome.status.details == "details");
  CHECK(outcome.answered);
  CHECK_FALSE(outcome.never_processed);
  CHECK(caller.why == "because");
}

TEST_CASE("Interop: net/ streams to gRPC", "[net][interop]") {
  GrpcPeer peer;
  NetCaller caller(peer.server->address());
  std::vector<std::string> messages;
  for (int i = 0; i < 50; ++i) {
    messages.push_back(
        ARequest(std::to_string(i), static_cast<size_t>(i) * 5000).SerializeAsString());
  }
  CHECK(caller.Call(kStream, messages).status.ok());
  REQUIRE(caller.got.size() == 50);
  ModelStreamInferResponse last;
  REQUIRE(last.ParseFromString(caller.got.back()));
  CHECK(last.infer_response().id() == "49");
}

TEST_CASE("Interop: net/'s deadline and cancellation reach gRPC", "[net][interop]") {
  GrpcPeer peer;
  NetCaller caller(peer.server->address());
  auto request = ARequest("mine");
  request.set_model_name("never");
  SECTION("deadline") {
    const auto outcome =
        caller.Call(kInfer, {request.SerializeAsString()}, absl::Milliseconds(100));
    CHECK(outcome.status.code == absl::StatusCode::kDeadlineExceeded);
  }
  SECTION("cancelled") {
    caller.cancel_at_once = true;
    const auto outcome = caller.Call(kInfer, {request.SerializeAsString()});
    CHECK(outcome.status.code == absl::StatusCode::kCancelled);
  }
}

TEST_CASE("Interop: nobody there is UNAVAILABLE, and surely not processed", "[net][interop]") {
  std::string address;
  {
    GrpcPeer peer;
    address = peer.server->address();
  }
  NetCaller caller(address);
  const GrpcOutcome outcome = caller.Call(kInfer, {"x"});
  CHECK(outcome.status.code == absl::StatusCode::kUnavailable);
  CHECK(outcome.never_processed);
  CHECK_FALSE(outcome.answered);
  CHECK(outcome.status.message.find("127.0.0.1") == std::string::npos);
}

}  // namespace
}  // namespace torchfleet::net
