#include "gateway/discover/fleet_follower.h"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gateway/gateway_server.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/unit/gateway/fake_backend.h"
#include "tests/unit/gateway/fake_registry.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

// What a follower publishes, to wait for.
class Published {
 public:
  void Set(const FleetSnapshot& fleet) {
    const std::lock_guard lock(mu_);
    fleet_ = fleet;
    changed_.notify_all();
  }

  FleetFollower::Publish AsPublish() {
    return [this](const FleetSnapshot& fleet, const FleetChange&) { Set(fleet); };
  }

  // Whether the endpoints READY for version 1 of `m` became `addresses` in time.
  [[nodiscard]] bool WaitForReady(const std::vector<std::string>& addresses) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] {
      const FleetVersion* const version = fleet_.Version("m", "1");
      return version && version->ready == addresses;
    });
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  FleetSnapshot fleet_;
};

registry::v1::Endpoint ShortLease(const std::string& worker_id) {
  auto endpoint = MakeEndpoint(worker_id, "m", "1");
  endpoint.set_ttl_ms(200);
  return endpoint;
}

TEST_CASE("FleetFollower: publishes snapshots and deltas", "[gateway][follower]") {
  FakeRegistry registry;
  const MonotonicClock clock;
  Published published;
  FleetFollower follower({registry.address()}, clock, published.AsPublish());
  follower.Start();
  registry.Say(MakeSnapshot("i", {ShortLease("a")}));
  CHECK(published.WaitForReady({"a.example:1"}));
  registry.Say(MakeDelta("i", {ShortLease("b")}, {}));
  CHECK(published.WaitForReady({"a.example:1", "b.example:1"}));
  CHECK(follower.connected());
  follower.Stop();
}

TEST_CASE("FleetFollower: lets go of endpoints that a forgetful registry does not hear of again",
          "[gateway][follower][faults]") {
  auto registry = std::make_unique<FakeRegistry>();
  const std::string address = registry->address();
  const MonotonicClock clock;
  Published published;
  FleetFollower follower({address}, clock, published.AsPublish());
  follower.Start();
  registry->Say(MakeSnapshot("i", {ShortLease("a"), ShortLease("b")}));
  REQUIRE(published.WaitForReady({"a.example:1", "b.example:1"}));
  registry.reset();
  registry = std::make_unique<FakeRegistry>(address);
  registry->Say(MakeSnapshot("j", {ShortLease("b")}));
  CHECK(published.WaitForReady({"b.example:1"}));
  follower.Stop();
}

TEST_CASE("FleetFollower: starts from the file where no registry answers, until one does",
          "[gateway][follower][faults]") {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "fleet").string();
  auto registry = std::make_unique<FakeRegistry>();
  const std::string address = registry->address();
  const MonotonicClock clock;
  {
    Published published;
    FleetFollower follower({address, file}, clock, published.AsPublish());
    follower.Start();
    registry->Say(MakeSnapshot("i", {ShortLease("a"), ShortLease("b")}));
    REQUIRE(published.WaitForReady({"a.example:1", "b.example:1"}));
  }
  registry.reset();
  Published published;
  FleetFollower follower({address, file}, clock, published.AsPublish());
  follower.Start();
  CHECK(published.WaitForReady({"a.example:1", "b.example:1"}));
  CHECK_FALSE(follower.connected());
  CHECK(follower.known_at() > 0);
  // Another life of the registry: what it does not name stays for a lease.
  registry = std::make_unique<FakeRegistry>(address);
  registry->Say(MakeSnapshot("j", {ShortLease("b")}));
  CHECK(published.WaitForReady({"b.example:1"}));
  follower.Stop();
  const auto kept = ReadFleetFile(file);
  REQUIRE(kept.ok());
  CHECK(kept->fleet.incarnation() == "j");
  CHECK(kept->fleet.snapshot().endpoints_size() == 1);
}

TEST_CASE("FleetFollower: keeps workers of the file that a registry of another life does not name",
          "[gateway][follower][faults]") {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "fleet").string();
  const MonotonicClock clock;
  auto kept = MakeEndpoint("a", "m", "1");
  kept.set_ttl_ms(2000);
  const auto first = [&](const registry::v1::WatchResponse& said,
                         const std::vector<std::vector<std::string>>& expected) {
    FakeRegistry registry;
    Published published;
    FleetFollower follower({registry.address(), file}, clock, published.AsPublish());
    registry.Say(said);
    follower.Start();
    for (const auto& addresses : expected) CHECK(published.WaitForReady(addresses));
  };
  first(MakeSnapshot("i", {kept, ShortLease("b")}), {{"a.example:1", "b.example:1"}});
  first(MakeSnapshot("j", {ShortLease("b")}), {{"a.example:1", "b.example:1"}, {"b.example:1"}});
  // The same life says who is there: nobody else is.
  first(MakeSnapshot("j", {ShortLease("c")}), {{"c.example:1"}});
}

TEST_CASE("GatewayServer: serves on when the registry goes away and comes back empty",
          "[gateway][server][faults]") {
  FakeBackend backend;
  auto endpoint = MakeEndpoint("a", "m", "1");
  endpoint.mutable_worker()->set_address(backend.address());
  auto registry = std::make_unique<FakeRegistry>();
  const std::string address = registry->address();
  registry->Say(MakeSnapshot("i", {endpoint}));
  auto gateway = GatewayServer::Start({.listen = "127.0.0.1:0", .registry = address, .worker = ""});
  REQUIRE(gateway.ok());
  auto stub = inference::GRPCInferenceService::NewStub(
      grpc::CreateChannel((*gateway)->address(), grpc::InsecureChannelCredentials()));
  const auto infer = [&] {
    grpc::ClientContext context;
    context.set_deadline(After(absl::Seconds(30)));
    inference::ModelInferRequest request;
    request.set_model_name("m");
    inference::ModelInferResponse response;
    return stub->ModelInfer(&context, request, &response);
  };
  // Until the gateway has heard of the fleet it says UNAVAILABLE.
  const auto patience = After(absl::Seconds(30));
  while (!infer().ok()) REQUIRE(std::chrono::system_clock::now() < patience);

  registry.reset();
  for (int i = 0; i < 20; ++i) CHECK(infer().ok());
  registry = std::make_unique<FakeRegistry>(address);
  registry->Say(MakeSnapshot("j", {}));
  for (int i = 0; i < 20; ++i) CHECK(infer().ok());
  registry->Say(MakeDelta("j", {endpoint}, {}));
  for (int i = 0; i < 20; ++i) CHECK(infer().ok());
}

}  // namespace
}  // namespace torchfleet::gateway
