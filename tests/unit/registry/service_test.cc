// The service as a bare client sees it: messages in, messages and codes out.

#include <grpcpp/grpcpp.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/grpc_status.h"
#include "base/status.h"
#include "registry/registry_server.h"
#include "tests/unit/registry/registrations.h"
#include "tests/unit/registry/store_that_goes_away.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::registry {
namespace {

std::unique_ptr<RegistryServer> ARegistry(absl::Duration lease = absl::Minutes(1)) {
  static const MonotonicClock clock;
  auto server = RegistryServer::Start(
      {.listen = "127.0.0.1:0", .operator_listen = "127.0.0.1:0", .lease = lease}, clock);
  REQUIRE(server.ok());
  return *std::move(server);
}

std::unique_ptr<v1::RegistryService::Stub> StubFor(const RegistryServer& server) {
  return v1::RegistryService::NewStub(
      grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
}

// A call that fails rather than hangs when no answer comes.
void Bound(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
}

class AnnounceClient {
 public:
  explicit AnnounceClient(v1::RegistryService::Stub& stub) {
    Bound(context_);
    stream_ = stub.Announce(&context_);
  }
  ~AnnounceClient() { context_.TryCancel(); }

  // The answer, or how the stream ended.
  absl::StatusOr<v1::AnnounceResponse> Ask(const v1::AnnounceRequest& request) {
    v1::AnnounceResponse response;
    if (stream_->Write(request) && stream_->Read(&response)) return response;
    return FromGrpc(stream_->Finish());
  }
  absl::StatusOr<v1::AnnounceResponse> Register(const v1::AnnounceRequest::Register& registration) {
    v1::AnnounceRequest request;
    *request.mutable_register_() = registration;
    return Ask(request);
  }
  absl::StatusOr<v1::AnnounceResponse> Renew(uint64_t epoch, v1::WorkerState state,
                                             const std::string& reason = "") {
    v1::AnnounceRequest request;
    *request.mutable_renew() = ARenewal(epoch, state);
    request.mutable_renew()->set_reason(reason);
    return Ask(request);
  }
  absl::StatusOr<v1::AnnounceResponse> Leave(uint64_t epoch, const std::string& reason) {
    v1::AnnounceRequest request;
    request.mutable_leave()->set_epoch(epoch);
    request.mutable_leave()->set_reason(reason);
    return Ask(request);
  }
  // What comes unasked.
  v1::AnnounceResponse Next() {
    v1::AnnounceResponse response;
    REQUIRE(stream_->Read(&response));
    return response;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AnnounceRequest, v1::AnnounceResponse>> stream_;
};

class WatchClient {
 public:
  explicit WatchClient(v1::RegistryService::Stub& stub, const v1::WatchRequest& request = {}) {
    Bound(context_);
    stream_ = stub.Watch(&context_, request);
  }
  ~WatchClient() { context_.TryCancel(); }

  v1::WatchResponse Next() {
    v1::WatchResponse response;
    REQUIRE(stream_->Read(&response));
    return response;
  }
  // The condition that comes next of a fleet in which nothing else happens.
  v1::WatchResponse::Condition NextCondition() {
    const v1::WatchResponse response = Next();
    REQUIRE(response.delta().conditions_size() == 1);
    return response.delta().conditions(0);
  }
  absl::Status End() {
    v1::WatchResponse response;
    while (stream_->Read(&response)) continue;
    return FromGrpc(stream_->Finish());
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> stream_;
};

TEST_CASE("RegistryService: of two registrations of a worker the newer one holds",
          "[registry][front]") {
  const auto server = ARegistry();
  const auto stub = StubFor(*server);
  AnnounceClient older(*stub);
  const auto first = older.Register(ARegistration("w"));
  REQUIRE(first.ok());
  CHECK(first->registered().ttl_ms() == 60000);
  AnnounceClient newer(*stub);
  const auto second = newer.Register(ARegistration("w"));
  REQUIRE(second.ok());
  CHECK(second->registered().epoch() > first->registered().epoch());

  const auto refused = older.Renew(first->registered().epoch(), v1::WORKER_STATE_READY);
  CHECK(absl::IsFailedPrecondition(refused.status()));
  CHECK(newer.Renew(second->registered().epoch(), v1::WORKER_STATE_DRAINING).ok());
}

TEST_CASE("RegistryService: a wrong message ends the stream and names the field",
          "[registry][front]") {
  const auto server = ARegistry();
  const auto stub = StubFor(*server);
  SECTION("a worker without an address") {
    auto registration = ARegistration("w");
    registration.mutable_worker()->clear_address();
    const absl::Status status = AnnounceClient(*stub).Register(registration).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(BadField(status) == "address");
  }
  SECTION("renew before register") {
    const absl::Status status = AnnounceClient(*stub).Renew(1, v1::WORKER_STATE_READY).status();
    CHECK(absl::IsInvalidArgument(status));
  }
  SECTION("nothing at all") {
    CHECK(absl::IsInvalidArgument(AnnounceClient(*stub).Ask({}).status()));
  }
  SECTION("register twice on one stream") {
    AnnounceClient worker(*stub);
    REQUIRE(worker.Register(ARegistration("w")).ok());
    CHECK(absl::IsInvalidArgument(worker.Register(ARegistration("w")).status()));
  }
}

TEST_CASE("RegistryService: a broken stream leaves the lease, and watchers see it",
          "[registry][front]") {
  const auto server = ARegistry();
  const auto stub = StubFor(*server);
  auto worker = std::make_unique<AnnounceClient>(*stub);
  REQUIRE(worker->Register(ARegistration("w")).ok());
  WatchClient watcher(*stub);
  REQUIRE(watcher.Next().snapshot().endpoints_size() == 1);
  worker.reset();
  const auto condition = watcher.NextCondition();
  CHECK(condition.worker_id() == "w");
  CHECK(condition.disconnected());
  CHECK(condition.state() == v1::WORKER_STATE_READY);

  AnnounceClient again(*stub);
  REQUIRE(again.Register(ARegistration("w")).ok());
  const auto delta = watcher.Next().delta();
  REQUIRE(delta.updated_size() == 1);
  CHECK_FALSE(delta.updated(0).disconnected());
}

TEST_CASE("RegistryService: a worker that fails and ends stays to be seen, with its reason",
          "[registry][front]") {
  const auto server = ARegistry(absl::Milliseconds(200));
  const auto stub = StubFor(*server);
  WatchClient watcher(*stub);
  watcher.Next();
  {
    AnnounceClient worker(*stub);
    const auto registered = worker.Register(ARegistration("w", v1::WORKER_STATE_STARTING));
    REQUIRE(registered.ok());
    REQUIRE(watcher.Next().delta().updated_size() == 1);
    REQUIRE(worker.Renew(registered->registered().epoch(), v1::WORKER_STATE_FAILED, "no model.pt")
                .ok());
    CHECK(watcher.NextCondition().reason() == "no model.pt");
  }
  // It moves to a longer lease, as a registration of its own.
  const auto delta = watcher.Next().delta();
  REQUIRE(delta.updated_size() == 1);
  CHECK(delta.updated(0).state() == v1::WORKER_STATE_FAILED);
  CHECK(delta.updated(0).reason() == "no model.pt");
  CHECK(delta.updated(0).disconnected());
  // Another one's lease ends meanwhile; this one's does not.
  AnnounceClient other(*stub);
  REQUIRE(other.Register(ARegistration("other")).ok());
  REQUIRE(watcher.Next().delta().updated_size() == 1);
  CHECK(watcher.Next().delta().removed(0) == "other");
  CHECK(WatchClient(*stub).Next().snapshot().endpoints_size() == 1);
}

TEST_CASE("RegistryService: who left and said why is back with it", "[registry][front]") {
  const auto server = ARegistry();
  const auto stub = StubFor(*server);
  const auto reason = [&] {
    return WatchClient(*stub).Next().snapshot().endpoints(0).last_leave_reason();
  };
  const auto come_and_go = [&](const std::string& why) {
    AnnounceClient worker(*stub);
    const auto registered = worker.Register(ARegistration("w"));
    REQUIRE(registered.ok());
    const std::string before = reason();
    REQUIRE(worker.Leave(registered->registered().epoch(), why).ok());
    CHECK(WatchClient(*stub).Next().snapshot().endpoints_size() == 0);
    CHECK(absl::IsFailedPrecondition(
        worker.Renew(registered->registered().epoch(), v1::WORKER_STATE_READY).status()));
    return before;
  };
  CHECK(come_and_go("a batch ran for over 1m").empty());
  CHECK(come_and_go(std::string(100'000, 'x')) == "a batch ran for over 1m");
  CHECK(come_and_go("").size() < 300);
  CHECK(come_and_go("").empty());
}

TEST_CASE("RegistryService: a worker is told to drain, also when it registers anew",
          "[registry][front]") {
  const auto server = ARegistry();
  const auto stub = StubFor(*server);
  AnnounceClient w(*stub), v(*stub);
  REQUIRE(w.Register(ARegistration("w")).ok());
  REQUIRE(v.Register(ARegistration("v")).ok());
  v1::DrainRequest request;
  request.set_actor("me@here");
  v1::DrainResponse response;
  const auto drain = [&] {
    grpc::ClientContext context;
    Bound(context);
    response.Clear();
    return FromGrpc(stub->Drain(&context, request, &response));
  };
  CHECK(BadField(drain()) == "worker_id");
  request.set_worker_id("nobody");
  CHECK(absl::IsNotFound(drain()));
  request.set_model("mnist");
  CHECK(BadField(drain()) == "model");

  request.set_worker_id("");
  REQUIRE(drain().ok());
  REQUIRE(response.worker_ids_size() == 2);
  CHECK(response.worker_ids(0) == "v");
  CHECK(w.Next().drain().actor() == "me@here");
  CHECK(v.Next().drain().actor() == "me@here");

  AnnounceClient again(*stub);
  REQUIRE(again.Register(ARegistration("w")).ok());
  CHECK(again.Next().drain().actor() == "me@here");
  request.set_model("other");
  CHECK(absl::IsNotFound(drain()));
}

TEST_CASE("RegistryService: a watcher sees the models that it asks for", "[registry][front]") {
  const auto server = ARegistry();
  const auto stub = StubFor(*server);
  v1::WatchRequest request;
  request.add_models("other");
  WatchClient watcher(*stub, request);
  CHECK(watcher.Next().snapshot().endpoints_size() == 0);
  AnnounceClient unseen(*stub), seen(*stub);
  REQUIRE(unseen.Register(ARegistration("unseen")).ok());
  auto registration = ARegistration("seen");
  registration.mutable_worker()->set_model("other");
  REQUIRE(seen.Register(registration).ok());
  const auto delta = watcher.Next().delta();
  REQUIRE(delta.updated_size() == 1);
  CHECK(delta.updated(0).worker().worker_id() == "seen");
  request.set_models(0, "");
  CHECK(BadField(WatchClient(*stub, request).End()) == "models");
}

TEST_CASE("RegistryService: a watcher ahead of what the store ever had begins anew",
          "[registry][front]") {
  const auto server = ARegistry();
  const auto stub = StubFor(*server);
  const v1::WatchResponse seen = WatchClient(*stub).Next();
  v1::WatchRequest position;
  position.set_incarnation(seen.incarnation());
  position.set_after_revision(seen.revision() + 1000);
  CHECK(WatchClient(*stub, position).Next().has_snapshot());
}

TEST_CASE("RegistryService: a watcher that resumes gets deltas only", "[registry][front]") {
  const auto server = ARegistry();
  const auto stub = StubFor(*server);
  AnnounceClient a(*stub);
  REQUIRE(a.Register(ARegistration("a")).ok());
  v1::WatchRequest position;
  {
    const v1::WatchResponse seen = WatchClient(*stub).Next();
    REQUIRE(seen.has_snapshot());
    position.set_incarnation(seen.incarnation());
    position.set_after_revision(seen.revision());
  }
  AnnounceClient b(*stub);
  REQUIRE(b.Register(ARegistration("b")).ok());

  const v1::WatchResponse news = WatchClient(*stub, position).Next();
  REQUIRE(news.has_delta());
  REQUIRE(news.delta().updated_size() == 1);
  CHECK(news.delta().updated(0).worker().worker_id() == "b");

  position.set_after_revision(news.revision());
  const v1::WatchResponse nothing = WatchClient(*stub, position).Next();
  CHECK(nothing.has_delta());  // no news, yet the registry says it is there
  CHECK(nothing.delta().updated_size() == 0);

  position.set_incarnation("another life");
  CHECK(WatchClient(*stub, position).Next().snapshot().endpoints_size() == 2);
}

TEST_CASE(
    "RegistryService: while its store is away, workers are sent on and watchers told what is known",
    "[registry][front]") {
  static const MonotonicClock clock;
  auto owned = std::make_unique<StoreThatGoesAway>(clock);
  StoreThatGoesAway& store = *owned;
  // Streams of watchers would end after a lease's time.
  auto server = RegistryServer::Start({.listen = "127.0.0.1:0", .lease = absl::Minutes(1)},
                                      std::move(owned), /*dear_writes=*/false, clock);
  REQUIRE(server.ok());
  const auto stub = StubFor(**server);
  AnnounceClient worker(*stub);
  const auto registered = worker.Register(ARegistration("w"));
  REQUIRE(registered.ok());
  store.SetAway(true);
  CHECK(absl::IsUnavailable(
      worker.Renew(registered->registered().epoch(), v1::WORKER_STATE_READY).status()));
  CHECK(absl::IsUnavailable(AnnounceClient(*stub).Register(ARegistration("v")).status()));
  WatchClient watcher(*stub);
  CHECK(watcher.Next().snapshot().endpoints_size() == 1);
  store.SetAway(false);
  AnnounceClient again(*stub);
  CHECK(again.Register(ARegistration("w")).ok());
  CHECK(watcher.Next().delta().updated_size() == 1);
}

TEST_CASE("RegistryService: draining ends the streams with UNAVAILABLE", "[registry][front]") {
  const auto server = ARegistry();
  const auto stub = StubFor(*server);
  AnnounceClient worker(*stub);
  const auto registered = worker.Register(ARegistration("w"));
  REQUIRE(registered.ok());
  WatchClient watcher(*stub);
  watcher.Next();
  server->Stop();
  CHECK(absl::IsUnavailable(watcher.End()));
  CHECK(absl::IsUnavailable(
      worker.Renew(registered->registered().epoch(), v1::WORKER_STATE_READY).status()));
}

TEST_CASE("RegistryServer: what it cannot start with is an error", "[registry][front]") {
  const MonotonicClock clock;
  const auto start = [&](const std::string& listen) {
    return RegistryServer::Start({.listen = listen, .operator_listen = "127.0.0.1:0"}, clock)
        .status();
  };
  const auto server = ARegistry();
  CHECK_FALSE(start("nowhere").ok());
  CHECK(absl::IsUnavailable(start(server->address())));
}

}  // namespace
}  // namespace torchfleet::registry
