// What EtcdStore must do besides what every store does: see the changes of
// other registries, and outlive members of the cluster.

#include "registry/store/etcd_store.h"

#include <catch2/catch_test_macros.hpp>
#include <chrono>

#include "base/clock.h"
#include "base/ids.h"
#include "tests/unit/registry/store/etcd_cluster.h"
#include "tests/unit/registry/store/store_calls.h"

namespace torchfleet::registry {
namespace {

const EtcdCluster& Single() {
  static const EtcdCluster cluster;
  return cluster;
}

std::unique_ptr<EtcdStore> Open(const EtcdAddress& address) {
  static const MonotonicClock clock;
  return EtcdStore::Open(address, clock).value();
}

// Makes etcd forget everything before now.
void Compact(const EtcdCluster& cluster) {
  const auto keys = cluster.Keys();
  grpc::ClientContext writing;
  etcdserverpb::PutRequest put;
  put.set_key("/elsewhere");
  etcdserverpb::PutResponse written;
  REQUIRE(keys->Put(&writing, put, &written).ok());
  grpc::ClientContext compacting;
  etcdserverpb::CompactionRequest request;
  request.set_revision(written.header().revision());
  etcdserverpb::CompactionResponse compacted;
  REQUIRE(keys->Compact(&compacting, request, &compacted).ok());
}

// Until one succeeds: a member that has just gone may fail some.
void CommitAtLast(Store& store, const std::string& key, const std::string& text) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < limit) {
    const auto committed = Commit(store, Put(key, text));
    if (committed.ok()) return;
    REQUIRE(absl::IsUnavailable(committed.status()));
  }
  FAIL("no commit succeeded");
}

TEST_CASE("EtcdStore: another registry's changes come, at the same positions",
          "[registry][store][etcd]") {
  const EtcdAddress address = Single().Address(RandomId());
  const auto first = Open(address);
  const auto second = Open(address);
  Follower here(*first), there(*second);
  const uint64_t committed = *Commit(*first, Put("models/a", "1"));
  REQUIRE(there.WaitForRevision(committed));
  CHECK(there.texts(Space::kCatalogue) == Texts{{"models/a", "1"}});
  CHECK(there.position().incarnation == here.position().incarnation);
  CHECK(there.position().revision == here.position().revision);

  // Whoever asks what is the latest hears of what was acknowledged elsewhere.
  const uint64_t again = *Commit(*second, Put("models/a", "2"));
  CHECK(*Latest(*first) >= again);
  CHECK(here.texts(Space::kCatalogue) == Texts{{"models/a", "2"}});
}

TEST_CASE("EtcdStore: keys of others count for nothing, not even their revisions",
          "[registry][store][etcd]") {
  const auto store = Open(Single().Address(RandomId()));
  const auto neighbour = Open(Single().Address(RandomId()));
  Follower follower(*store);
  const uint64_t mine = *Commit(*store, Put("models/a", "1"));
  REQUIRE(*Commit(*neighbour, Put("models/a", "2")) > mine);
  CHECK(*Latest(*store) == mine);
  CHECK(*Commit(*store, Remove("models/none")) == mine);
  CHECK(follower.texts(Space::kCatalogue) == Texts{{"models/a", "1"}});
  CHECK(follower.broken() == "");
}

TEST_CASE("EtcdStore: what a restarted registry finds, in pages, is all there was",
          "[registry][store][etcd]") {
  const EtcdAddress address = Single().Address(RandomId());
  Texts expected;
  {
    const auto store = Open(address);
    for (int page = 0; page < 25; ++page) {
      Transaction transaction;
      for (int i = 0; i < 100; ++i) {
        const std::string key = "models/" + std::to_string(page * 100 + i);
        transaction.writes.push_back({.key = key, .value = Text(key)});
        expected[key] = key;
      }
      REQUIRE(Commit(*store, transaction).ok());
    }
  }
  const auto store = Open(address);
  const Follower follower(*store);
  CHECK(follower.texts(Space::kCatalogue) == expected);
}

TEST_CASE("EtcdStore: a watch that missed what is compacted gets everything anew",
          "[registry][store][etcd]") {
  EtcdCluster cluster;
  const EtcdAddress address = cluster.Address("x");
  const auto store = Open(address);
  Follower follower(*store);
  REQUIRE(Commit(*store, Put("models/a", "1")).ok());
  REQUIRE(Commit(*store, Put("models/b", "1")).ok());

  // The one store is away while another changes and etcd forgets.
  cluster.Kill(0);
  REQUIRE(follower.WaitFor([](const Follower& f) { return !f.available(); }));
  cluster.Start(0);
  const auto other = Open(address);
  Transaction change = Put("models/a", "2");
  change.writes.push_back({.key = "models/b"});
  CommitAtLast(*other, "models/c", "3");
  REQUIRE(Commit(*other, change).ok());
  Compact(cluster);
  REQUIRE(follower.WaitForRevision(*Latest(*other)));
  CHECK(follower.texts(Space::kCatalogue) == Texts{{"models/a", "2"}, {"models/c", "3"}});
  CHECK(follower.broken() == "");
}

TEST_CASE("EtcdStore: a member that is killed or frozen is left for another one",
          "[registry][store][etcd]") {
  EtcdCluster cluster(3);
  const auto store = Open(cluster.Address("x"));
  Follower follower(*store);
  const LeaseId lease = *Grant(*store, absl::Minutes(10));
  REQUIRE(Commit(*store, PutLive("workers/w", "here", lease)).ok());

  cluster.Kill(0);
  CommitAtLast(*store, "models/a", "after a kill");
  CHECK(Renew(*store, lease).ok());
  cluster.Start(0);
  for (const size_t member : {1, 2}) {
    cluster.Freeze(member);
    const std::string text = "after freezing " + std::to_string(member);
    CommitAtLast(*store, "models/a", text);
    CHECK(Renew(*store, lease).ok());
    REQUIRE(follower.WaitForRevision(*Latest(*store)));
    CHECK(follower.texts(Space::kCatalogue) == Texts{{"models/a", text}});
    cluster.Thaw(member);
  }
  CHECK(follower.texts(Space::kLive) == Texts{{"workers/w", "here"}});
  CHECK(follower.snapshots() == 1);
  CHECK(follower.broken() == "");
}

TEST_CASE("EtcdStore: without a majority writes fail as unavailable, and work again with one",
          "[registry][store][etcd]") {
  EtcdCluster cluster(3);
  const auto store = Open(cluster.Address("x"));
  Follower follower(*store);
  REQUIRE(Commit(*store, Put("models/a", "1")).ok());
  cluster.Kill(1);
  cluster.Kill(2);
  const auto refused = Commit(*store, Put("models/a", "2"));
  CHECK(absl::IsUnavailable(refused.status()));
  CHECK(absl::IsUnavailable(Latest(*store).status()));
  REQUIRE(follower.WaitFor([](const Follower& f) { return !f.available(); }));
  cluster.Start(1);
  CommitAtLast(*store, "models/a", "3");
  REQUIRE(follower.WaitFor([](const Follower& f) { return f.available(); }));
  CHECK(follower.texts(Space::kCatalogue) == Texts{{"models/a", "3"}});
  CHECK(follower.broken() == "");
}

TEST_CASE("EtcdStore: without room writes are refused, reads and leases go on",
          "[registry][store][etcd]") {
  const EtcdCluster cluster(1, {"--quota-backend-bytes", "4194304"});
  const auto store = Open(cluster.Address("x"));
  const Follower follower(*store);
  const LeaseId lease = *Grant(*store, absl::Minutes(10));
  REQUIRE(Commit(*store, PutLive("workers/w", "here", lease)).ok());
  const std::string large(1 << 20, 'x');
  absl::StatusOr<uint64_t> committed = 0;
  constexpr int kMoreThanFits = 20;
  for (int i = 0; i < kMoreThanFits && committed.ok(); ++i) {
    committed = Commit(*store, Put("models/a", large));
  }
  CHECK(absl::IsResourceExhausted(committed.status()));
  CHECK(Latest(*store).ok());
  CHECK(Renew(*store, lease).ok());
  CHECK(Commit(*store, Remove("models/a")).ok());
  CHECK(follower.texts(Space::kCatalogue).empty());
  CHECK(follower.texts(Space::kLive) == Texts{{"workers/w", "here"}});
}

TEST_CASE("EtcdStore: no cluster is said with its address", "[registry][store][etcd]") {
  const MonotonicClock clock;
  const EtcdAddress nobody{.members = {"127.0.0.1:1"}, .prefix = "x"};
  const auto opened = EtcdStore::Open(nobody, clock, absl::Milliseconds(200));
  CHECK(absl::IsUnavailable(opened.status()));
  CHECK(std::string(opened.status().message()).find("127.0.0.1:1") != std::string::npos);
}

TEST_CASE("EtcdStore: what is unanswered when it closes is cancelled", "[registry][store][etcd]") {
  EtcdCluster cluster;
  auto store = Open(cluster.Address("x"));
  cluster.Freeze(0);
  std::promise<absl::Status> committed, latest, renewed;
  store->Commit(Put("models/a", "1"),
                [&](const auto& answer) { committed.set_value(answer.status()); });
  store->Latest([&](const auto& answer) { latest.set_value(answer.status()); });
  store->Renew(7, [&](const absl::Status& answer) { renewed.set_value(answer); });
  store.reset();
  CHECK(absl::IsCancelled(committed.get_future().get()));
  CHECK(absl::IsCancelled(latest.get_future().get()));
  CHECK(absl::IsCancelled(renewed.get_future().get()));
}

}  // namespace
}  // namespace torchfleet::registry
