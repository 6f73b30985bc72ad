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
  absl::StatusOr<v1::AnnounceResponse> Renew(uint64_t epoch, v1::WorkerState state) {
    v1::AnnounceRequest request;
    *request.mutable_renew() = ARenewal(epoch, state);
    return Ask(request);
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

TEST_CASE("RegistryService: a broken stream leaves the lease", "[registry][front]") {
  const auto server = ARegistry();
  const auto stub = StubFor(*server);
  { REQUIRE(AnnounceClient(*stub).Register(ARegistration("w")).ok()); }
  CHECK(WatchClient(*stub).Next().snapshot().endpoints_size() == 1);
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
