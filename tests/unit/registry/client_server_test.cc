// Announcer and Watcher against a real registry in the same process.

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "registry/client/announcer.h"
#include "registry/client/watcher.h"
#include "registry/registry_server.h"
#include "tests/unit/registry/registrations.h"

namespace torchfleet::registry {
namespace {

constexpr absl::Duration kLongLease = absl::Minutes(5);
// Far beyond what anything here takes; a test that waits this long fails.
constexpr std::chrono::seconds kLimit(20);

std::unique_ptr<RegistryServer> ARegistry(absl::Duration lease,
                                          const std::string& listen = "127.0.0.1:0") {
  static const MonotonicClock clock;
  auto server = RegistryServer::Start(
      {.listen = listen, .operator_listen = "127.0.0.1:0", .lease = lease}, clock);
  REQUIRE(server.ok());
  return *std::move(server);
}

Announcer::Callbacks NoLoad() {
  return {.load = [] { return v1::Load(); }, .on_drain = nullptr};
}

// The fleet as a Watcher tells it.
class SeenFleet {
 public:
  explicit SeenFleet(const std::string& registry)
      : watcher_(registry, {.on_change = [this](const auto& response) { Apply(response); },
                            .on_connection = [this](bool connected) { Connect(connected); }}) {
    watcher_.Start();
  }

  // Whether `reached` holds within the limit. It runs under the lock.
  bool Await(const std::function<bool()>& reached) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, kLimit, reached);
  }
  bool AwaitState(const std::string& worker_id, v1::WorkerState state) {
    return Await(
        [&] { return endpoints.contains(worker_id) && endpoints.at(worker_id).state() == state; });
  }
  bool AwaitGone(const std::string& worker_id) {
    return Await([&] { return responses > 0 && !endpoints.contains(worker_id); });
  }

  // For Await's conditions.
  std::map<std::string, v1::Endpoint> endpoints;
  std::set<std::string> incarnations;
  int responses = 0;
  int snapshots = 0;
  bool connected = false;

 private:
  void Apply(const v1::WatchResponse& response) {
    const std::lock_guard lock(mu_);
    ++responses;
    incarnations.insert(response.incarnation());
    if (response.has_snapshot()) {
      ++snapshots;
      endpoints.clear();
      for (const auto& e : response.snapshot().endpoints()) endpoints[e.worker().worker_id()] = e;
    }
    for (const auto& e : response.delta().updated()) endpoints[e.worker().worker_id()] = e;
    for (const auto& id : response.delta().removed()) endpoints.erase(id);
    for (const auto& condition : response.delta().conditions()) {
      v1::Endpoint& endpoint = endpoints[condition.worker_id()];
      endpoint.set_state(condition.state());
      *endpoint.mutable_load() = condition.load();
    }
    changed_.notify_all();
  }
  void Connect(bool now) {
    const std::lock_guard lock(mu_);
    connected = now;
    changed_.notify_all();
  }

  std::mutex mu_;
  std::condition_variable changed_;
  Watcher watcher_;
};

TEST_CASE("Announcer and Watcher: a worker is seen, changes its state at once, and leaves",
          "[registry][client]") {
  // Renewals are minutes apart: what is seen did not wait for one.
  const auto server = ARegistry(kLongLease);
  SeenFleet seen(server->address());
  Announcer worker(server->address(), AWorker("w"), NoLoad());
  worker.Start(v1::WORKER_STATE_STARTING);
  REQUIRE(seen.AwaitState("w", v1::WORKER_STATE_STARTING));
  worker.SetCondition({.state = v1::WORKER_STATE_READY});
  CHECK(worker.AwaitTold(absl::Seconds(20)));
  REQUIRE(seen.AwaitState("w", v1::WORKER_STATE_READY));
  worker.SetCondition({.state = v1::WORKER_STATE_DRAINING});
  REQUIRE(seen.AwaitState("w", v1::WORKER_STATE_DRAINING));
  worker.Stop();
  CHECK(seen.AwaitGone("w"));
  CHECK(seen.Await([&] { return seen.snapshots == 1; }));
}

TEST_CASE("Announcer: describes itself anew without leaving, and leaves with a reason",
          "[registry][client]") {
  const auto server = ARegistry(kLongLease);
  SeenFleet seen(server->address());
  v1::Worker self = AWorker("w");
  {
    Announcer worker(server->address(), self, NoLoad());
    worker.Start(v1::WORKER_STATE_READY);
    REQUIRE(seen.AwaitState("w", v1::WORKER_STATE_READY));
    self.mutable_inputs(0)->set_datatype("BOOL");
    worker.SetWorker(self);
    worker.SetWorker(self);
    CHECK(seen.Await([&] {
      const auto& endpoint = seen.endpoints["w"];
      return endpoint.worker().inputs(0).datatype() == "BOOL" &&
             endpoint.state() == v1::WORKER_STATE_READY;
    }));
    CHECK(seen.Await([&] { return seen.endpoints["w"].last_leave_reason().empty(); }));
    worker.Leave("tired");
    CHECK(seen.AwaitGone("w"));
  }
  Announcer again(server->address(), self, NoLoad());
  again.Start(v1::WORKER_STATE_READY);
  CHECK(seen.Await([&] { return seen.endpoints["w"].last_leave_reason() == "tired"; }));
}

TEST_CASE("Announcer: reports its load with each renewal and so keeps its lease",
          "[registry][client]") {
  const auto server = ARegistry(absl::Milliseconds(600));
  SeenFleet seen(server->address());
  uint32_t asked = 0;  // only on the announcer's thread
  Announcer worker(server->address(), AWorker("w"),
                   {.load =
                        [&] {
                          v1::Load load;
                          load.set_queued(++asked);
                          return load;
                        },
                    .on_drain = nullptr});
  worker.Start(v1::WORKER_STATE_READY);
  // Ten renewals at a third of the lease: the lease has passed three times.
  CHECK(seen.Await([&] {
    return seen.endpoints.contains("w") && seen.endpoints.at("w").load().queued() >= 10;
  }));
}

TEST_CASE("Announcer and Watcher: find a registry that was restarted and forgot",
          "[registry][client]") {
  auto server = ARegistry(kLongLease);
  const std::string address = server->address();
  SeenFleet seen(address);
  Announcer worker(address, AWorker("w"), NoLoad());
  worker.Start(v1::WORKER_STATE_READY);
  uint64_t first_epoch = 0;
  REQUIRE(seen.Await([&] {
    if (!seen.endpoints.contains("w")) return false;
    first_epoch = seen.endpoints.at("w").epoch();
    return true;
  }));

  server.reset();
  REQUIRE(seen.Await([&] { return !seen.connected; }));
  server = ARegistry(kLongLease, address);
  CHECK(seen.Await([&] {
    return seen.connected && seen.incarnations.size() == 2 && seen.endpoints.contains("w") &&
           seen.endpoints.at("w").epoch() > first_epoch;
  }));
}

TEST_CASE("Announcer and Watcher: start before their registry does", "[registry][client]") {
  auto server = ARegistry(kLongLease);
  const std::string address = server->address();
  server.reset();
  SeenFleet seen(address);
  Announcer worker(address, AWorker("w"), NoLoad());
  worker.Start(v1::WORKER_STATE_STARTING);
  worker.SetCondition({.state = v1::WORKER_STATE_READY});
  server = ARegistry(kLongLease, address);
  CHECK(seen.AwaitState("w", v1::WORKER_STATE_READY));
}

TEST_CASE("Announcer: stops at once while the registry is away", "[registry][client]") {
  auto server = ARegistry(kLongLease);
  const std::string address = server->address();
  server.reset();
  Announcer worker(address, AWorker("w"), NoLoad());
  worker.Start(v1::WORKER_STATE_READY);
  const auto begun = std::chrono::steady_clock::now();
  worker.Stop();
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(5));
}

TEST_CASE("Announcer: one that was taken over registers anew", "[registry][client]") {
  const auto server = ARegistry(absl::Milliseconds(600));
  SeenFleet seen(server->address());
  Announcer older(server->address(), AWorker("w"), NoLoad());
  older.Start(v1::WORKER_STATE_READY);
  REQUIRE(seen.AwaitState("w", v1::WORKER_STATE_READY));
  // A twin takes over and falls silent without leaving its lease behind.
  auto twin = std::make_unique<Announcer>(server->address(), AWorker("w"), NoLoad());
  twin->Start(v1::WORKER_STATE_DRAINING);
  REQUIRE(seen.AwaitState("w", v1::WORKER_STATE_DRAINING));
  twin.reset();
  CHECK(seen.AwaitState("w", v1::WORKER_STATE_READY));
}

TEST_CASE("Registry: a worker that falls silent is gone when its lease ends",
          "[registry][client]") {
  const auto server = ARegistry(absl::Milliseconds(300));
  SeenFleet seen(server->address());
  const auto stub = v1::RegistryService::NewStub(
      grpc::CreateChannel(server->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = stub->Announce(&context);
  v1::AnnounceRequest request;
  *request.mutable_register_() = ARegistration("w");
  v1::AnnounceResponse response;
  REQUIRE(stream->Write(request));
  REQUIRE(stream->Read(&response));
  REQUIRE(seen.AwaitState("w", v1::WORKER_STATE_READY));
  CHECK(seen.AwaitGone("w"));

  // Its renewal comes too late: it has to register anew.
  request.mutable_renew()->set_epoch(response.registered().epoch());
  request.mutable_renew()->set_state(v1::WORKER_STATE_READY);
  CHECK(stream->Write(request));
  CHECK_FALSE(stream->Read(&response));
  CHECK(stream->Finish().error_code() == grpc::StatusCode::FAILED_PRECONDITION);
}

}  // namespace
}  // namespace torchfleet::registry
