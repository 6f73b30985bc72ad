#include <catch2/catch_test_macros.hpp>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/grpc_status.h"
#include "base/status.h"
#include "tests/unit/gateway/fake_backend.h"
#include "wire/caller.h"

namespace torchfleet::gateway {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;

grpc::Status QueueFull() {
  return ToGrpc(
      WithRetryDelay(absl::UnavailableError("the worker's queue is full"), absl::Seconds(3)));
}

void CheckNamesNoAddress(const grpc::Status& status) {
  CAPTURE(status.error_message());
  CHECK(status.error_message().find("127.0.0.1") == std::string::npos);
  CHECK(status.error_message().find("ipv4") == std::string::npos);
  CHECK(status.error_message().size() <= kMaxErrorText);
}

TEST_CASE("Forwarding: calls go to the replica that is left when one dies",
          "[gateway][forward][faults]") {
  FakeBackend first, second;
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", first.address()}, {"b", "m", "1", second.address()}});
  for (int i = 0; i < 50; ++i) REQUIRE(gateway.Infer("m").ok());
  CHECK(first.calls().value() > 0);
  CHECK(second.calls().value() > 0);
  first.Kill();
  for (int i = 0; i < 50; ++i) REQUIRE(gateway.Infer("m").ok());
}

TEST_CASE("Forwarding: a call whose worker dies under it is answered by another",
          "[gateway][forward][faults]") {
  Counter arrived;
  std::atomic<FakeBackend*> holder = nullptr;
  std::vector<std::unique_ptr<FakeBackend>> backends(2);
  for (auto& backend : backends) {
    backend = std::make_unique<FakeBackend>([&](auto&, const auto&, auto&) {
      FakeBackend* nobody = nullptr;
      const bool first = holder.compare_exchange_strong(nobody, backend.get());
      arrived.Add();
      return first ? std::nullopt : std::optional(grpc::Status::OK);
    });
  }
  TestGateway gateway;
  gateway.SetFleet(
      {{"a", "m", "1", backends[0]->address()}, {"b", "m", "1", backends[1]->address()}});
  ModelInferResponse response;
  auto call = std::async(std::launch::async, [&] { return gateway.Infer("m", response); });
  REQUIRE(arrived.WaitFor(1));
  holder.load()->Kill();
  const grpc::Status status = call.get();
  CAPTURE(status.error_message());
  CHECK(status.ok());
  CHECK(response.id() == "the caller's");
  CHECK(gateway.calls().Find("m")->count(ModelCalls::Rescue::kRetry) == 1);
}

TEST_CASE("Forwarding: nobody left is UNAVAILABLE, says when to come back, names no address",
          "[gateway][forward][faults]") {
  FakeBackend first, second;
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", first.address()}, {"b", "m", "1", second.address()}});
  first.Kill();
  second.Kill();
  for (int i = 0; i < 3; ++i) {
    const grpc::Status status = gateway.Infer("m");
    CHECK(status.error_code() == grpc::StatusCode::UNAVAILABLE);
    CHECK(RetryDelay(FromGrpc(status)).has_value());
    CheckNamesNoAddress(status);
  }
}

TEST_CASE("Forwarding: a worker that is full lets another answer", "[gateway][forward]") {
  const auto full = [](auto&, const auto&, auto&) { return std::optional(QueueFull()); };
  FakeBackend first(full), second(full), third;
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", first.address()},
                    {"b", "m", "1", second.address()},
                    {"c", "m", "1", third.address()}});
  for (int i = 0; i < 20; ++i) CHECK(gateway.Infer("m").ok());
}

TEST_CASE("Forwarding: no more than three replicas are tried, and the last answer stands",
          "[gateway][forward]") {
  Counter attempts;
  const auto full = [&](auto&, const auto&, auto&) {
    attempts.Add();
    return std::optional(QueueFull());
  };
  FakeBackend a(full), b(full), c(full), d(full);
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", a.address()},
                    {"b", "m", "1", b.address()},
                    {"c", "m", "1", c.address()},
                    {"d", "m", "1", d.address()}});
  const grpc::Status status = gateway.Infer("m");
  CHECK(attempts.value() == 3);
  CHECK(status.error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(status.error_message() == "the worker's queue is full");
  CHECK(RetryDelay(FromGrpc(status)) == absl::Seconds(3));
}

TEST_CASE("Forwarding: an error that ends with a blank is an error as any other",
          "[gateway][forward][faults]") {
  FakeBackend backend([](auto&, const auto&, auto&) {
    return std::optional(grpc::Status(grpc::StatusCode::INTERNAL, " why: "));
  });
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  const grpc::Status status = gateway.Infer("m");
  CHECK(status.error_code() == grpc::StatusCode::INTERNAL);
  CHECK(status.error_message() == " why: ");
}

TEST_CASE("Forwarding: a worker's own error is the caller's, with details and metadata, once",
          "[gateway][forward]") {
  const auto refuse = [](grpc::CallbackServerContext& context, const auto&, auto&) {
    context.AddTrailingMetadata("x-load", "7");
    context.AddTrailingMetadata("x-load-bin", std::string("\0\xFF", 2));
    return std::optional(ToGrpc(
        WithBadField(absl::InvalidArgumentError("shape is [2]; expected [3]"), "inputs[x].shape")));
  };
  FakeBackend first(refuse), second(refuse);
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", first.address()}, {"b", "m", "1", second.address()}});
  grpc::ClientContext context;
  context.set_deadline(After(absl::Seconds(30)));
  ModelInferRequest request;
  request.set_model_name("m");
  ModelInferResponse response;
  const grpc::Status status = gateway.stub().ModelInfer(&context, request, &response);
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message() == "shape is [2]; expected [3]");
  CHECK(BadField(FromGrpc(status)) == "inputs[x].shape");
  const auto& trailing = context.GetServerTrailingMetadata();
  CHECK(trailing.count("grpc-status-details-bin") == 1);
  REQUIRE(trailing.count("x-load") == 1);
  CHECK(trailing.find("x-load")->second == "7");
  REQUIRE(trailing.count("x-load-bin") == 1);
  CHECK(trailing.find("x-load-bin")->second == grpc::string_ref("\0\xFF", 2));
  CHECK(first.calls().value() + second.calls().value() == 1);
}

TEST_CASE("Forwarding: an error that a worker answered is not tried elsewhere, whatever its code",
          "[gateway][forward]") {
  for (const auto code : {grpc::StatusCode::INTERNAL, grpc::StatusCode::UNKNOWN,
                          grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::NOT_FOUND}) {
    const auto refuse = [&](auto&, const auto&, auto&) {
      return std::optional(grpc::Status(code, std::string(600, 'x')));
    };
    FakeBackend first(refuse), second(refuse);
    TestGateway gateway;
    gateway.SetFleet({{"a", "m", "1", first.address()}, {"b", "m", "1", second.address()}});
    const grpc::Status status = gateway.Infer("m");
    CHECK(status.error_code() == code);
    CHECK(status.error_message().size() <= kMaxErrorText);
    CHECK(first.calls().value() + second.calls().value() == 1);
  }
}

TEST_CASE("Forwarding: metadata travels both ways, binary too", "[gateway][forward]") {
  std::string seen, seen_binary;
  FakeBackend backend([&](grpc::CallbackServerContext& context, const auto&, auto&) {
    const auto text = context.client_metadata().find("traceparent");
    const auto binary = context.client_metadata().find("x-key-bin");
    if (text != context.client_metadata().end()) {
      seen.assign(text->second.data(), text->second.size());
    }
    if (binary != context.client_metadata().end()) {
      seen_binary.assign(binary->second.data(), binary->second.size());
    }
    context.AddInitialMetadata("x-first", "1");
    context.AddTrailingMetadata("x-last-bin", std::string("\0\x01\xFE", 3));
    return std::optional(grpc::Status::OK);
  });
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  grpc::ClientContext context;
  context.set_deadline(After(absl::Seconds(30)));
  context.AddMetadata("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  context.AddMetadata("x-key-bin", std::string("\0\xFFz", 3));
  ModelInferRequest request;
  request.set_model_name("m");
  ModelInferResponse response;
  REQUIRE(gateway.stub().ModelInfer(&context, request, &response).ok());
  CHECK(seen == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  CHECK(seen_binary == std::string("\0\xFFz", 3));
  CHECK(context.GetServerInitialMetadata().count("x-first") == 1);
  REQUIRE(context.GetServerTrailingMetadata().count("x-last-bin") == 1);
  CHECK(context.GetServerTrailingMetadata().find("x-last-bin")->second ==
        grpc::string_ref("\0\x01\xFE", 3));
}

TEST_CASE("Forwarding: the caller's deadline is the worker's", "[gateway][forward]") {
  std::chrono::system_clock::time_point seen;
  FakeBackend backend([&](grpc::CallbackServerContext& context, const auto&, auto&) {
    seen = context.deadline();
    return std::optional<grpc::Status>();
  });
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  grpc::ClientContext context;
  const auto deadline = After(absl::Milliseconds(500));
  context.set_deadline(deadline);
  ModelInferRequest request;
  request.set_model_name("m");
  ModelInferResponse response;
  const grpc::Status status = gateway.stub().ModelInfer(&context, request, &response);
  CHECK(status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED);
  REQUIRE(backend.cancelled().WaitFor(1));
  CHECK(seen < deadline + std::chrono::milliseconds(400));
  CHECK(backend.calls().value() == 1);
}

TEST_CASE("Forwarding: a caller's cancellation reaches the worker", "[gateway][forward]") {
  FakeBackend backend(FakeBackend::Hold);
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  grpc::ClientContext context;
  context.set_deadline(After(absl::Seconds(30)));
  auto call = std::async(std::launch::async, [&] {
    ModelInferRequest request;
    request.set_model_name("m");
    ModelInferResponse response;
    return gateway.stub().ModelInfer(&context, request, &response);
  });
  REQUIRE(backend.calls().WaitFor(1));
  context.TryCancel();
  CHECK(call.get().error_code() == grpc::StatusCode::CANCELLED);
  CHECK(backend.cancelled().WaitFor(1));
}

TEST_CASE("Forwarding: under concurrency every answer is the caller's own", "[gateway][forward]") {
  const auto echo = [](auto&, const ModelInferRequest& request, ModelInferResponse& response) {
    *response.add_raw_output_contents() = request.raw_input_contents(0);
    return std::optional(grpc::Status::OK);
  };
  FakeBackend first(echo), second(echo);
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", first.address()}, {"b", "m", "1", second.address()}});
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 100; ++i) {
        grpc::ClientContext context;
        context.set_deadline(After(absl::Seconds(60)));
        ModelInferRequest request;
        request.set_model_name("m");
        request.set_id(std::to_string(caller * 1000 + i));
        request.add_raw_input_contents(std::string(static_cast<size_t>(i) * 331, 'a' + caller));
        ModelInferResponse response;
        const bool ok = gateway.stub().ModelInfer(&context, request, &response).ok();
        if (!ok || response.id() != request.id() ||
            response.raw_output_contents(0) != request.raw_input_contents(0)) {
          ++wrong;
        }
      }
    });
  }
  callers.clear();
  CHECK(wrong == 0);
  CHECK(gateway.calls().Find("m")->ended(0) == 800);
  CHECK(gateway.calls().Find("m")->in_flight() == 0);
}

TEST_CASE("Forwarding: messages up to the limit pass, larger ones are RESOURCE_EXHAUSTED",
          "[gateway][forward][faults]") {
  FakeBackend backend;
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  const auto infer = [&](size_t size) {
    grpc::ClientContext context;
    context.set_deadline(After(absl::Seconds(60)));
    ModelInferRequest request;
    request.set_model_name("m");
    request.add_raw_input_contents(std::string(size, 'x'));
    ModelInferResponse response;
    return gateway.stub().ModelInfer(&context, request, &response).error_code();
  };
  CHECK(infer(kMaxMessageBytes - 100) == grpc::StatusCode::OK);
  CHECK(infer(kMaxMessageBytes + 1) == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(infer(10) == grpc::StatusCode::OK);
}

TEST_CASE("Forwarding: the worker hears whose call it is, from the gateway alone",
          "[gateway][forward]") {
  std::mutex mu;
  std::vector<std::string> callers;
  FakeBackend backend([&](grpc::CallbackServerContext& context, const auto&, auto&) {
    const std::lock_guard lock(mu);
    const auto [first, last] = context.client_metadata().equal_range(wire::kCallerHeader);
    for (auto it = first; it != last; ++it) {
      callers.emplace_back(it->second.begin(), it->second.end());
    }
    return std::optional(grpc::Status::OK);
  });
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  // Its own subchannels, so connections of its own.
  grpc::ChannelArguments own;
  own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto other = inference::GRPCInferenceService::NewStub(
      grpc::CreateCustomChannel(gateway.address(), grpc::InsecureChannelCredentials(), own));
  for (inference::GRPCInferenceService::Stub* stub :
       {&gateway.stub(), &gateway.stub(), other.get()}) {
    grpc::ClientContext context;
    context.set_deadline(After(absl::Seconds(30)));
    context.AddMetadata(wire::kCallerHeader, "somebody else");
    ModelInferRequest request;
    request.set_model_name("m");
    ModelInferResponse response;
    REQUIRE(stub->ModelInfer(&context, request, &response).ok());
  }
  REQUIRE(callers.size() == 3);
  CHECK(callers[0] == callers[1]);
  CHECK(callers[0] != callers[2]);
  for (const std::string& caller : callers) CHECK(caller != "somebody else");
}

}  // namespace
}  // namespace torchfleet::gateway
