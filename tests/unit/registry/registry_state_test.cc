#include "registry/state/registry_state.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <random>
#include <string>

#include "base/status.h"
#include "tests/unit/registry/registrations.h"

namespace torchfleet::registry {
namespace {

constexpr absl::Duration kTtl = absl::Seconds(5);

Instant At(double seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

RegistryState AState(size_t log_capacity = 1024) {
  return RegistryState({.incarnation = "life", .ttl = kTtl, .log_capacity = log_capacity});
}

absl::Status Register(RegistryState& state, const std::string& id, uint64_t epoch, Instant now,
                      v1::WorkerState worker_state = v1::WORKER_STATE_READY) {
  return state.Register(AWorker(id), epoch, worker_state, {}, now);
}

absl::Status Renew(RegistryState& state, const std::string& id, uint64_t epoch, Instant now,
                   v1::WorkerState worker_state = v1::WORKER_STATE_READY, uint32_t queued = 0) {
  v1::Load load;
  load.set_queued(queued);
  return state.Renew(id, epoch, worker_state, load, now);
}

TEST_CASE("RegistryState: a registration is an endpoint", "[registry][state]") {
  RegistryState state = AState();
  REQUIRE(Register(state, "b", 7, At(0)).ok());
  REQUIRE(Register(state, "a", 8, At(0), v1::WORKER_STATE_STARTING).ok());

  const v1::WatchResponse all = state.Since("", 0);
  CHECK(all.incarnation() == "life");
  CHECK(all.revision() == 2);
  REQUIRE(all.snapshot().endpoints_size() == 2);
  const v1::Endpoint& first = all.snapshot().endpoints(0);
  CHECK(first.worker().worker_id() == "a");  // sorted
  CHECK(first.worker().inputs_size() == 1);
  CHECK(first.epoch() == 8);
  CHECK(first.state() == v1::WORKER_STATE_STARTING);
  CHECK(first.ttl_ms() == 5000);
  CHECK(state.CountInState(v1::WORKER_STATE_STARTING) == 1);
  CHECK(state.CountInState(v1::WORKER_STATE_READY) == 1);
}

TEST_CASE("RegistryState: an empty fleet has an empty snapshot", "[registry][state]") {
  const v1::WatchResponse all = AState().Since("", 0);
  CHECK(all.has_snapshot());
  CHECK(all.snapshot().endpoints_size() == 0);
  CHECK(all.revision() == 0);
}

TEST_CASE("RegistryState: a wrong registration changes nothing", "[registry][state]") {
  RegistryState state = AState();
  v1::Worker wrong = AWorker("w");
  wrong.set_version("none");
  CHECK(BadField(state.Register(wrong, 1, v1::WORKER_STATE_READY, {}, At(0))) == "version");
  CHECK(state.revision() == 0);
  CHECK(state.NextExpiry() == Instant::Infinite());
}

TEST_CASE("RegistryState: renewal keeps a lease to its ttl and no longer", "[registry][state]") {
  RegistryState state = AState();
  REQUIRE(Register(state, "w", 1, At(0)).ok());
  CHECK(state.NextExpiry() == At(5));
  REQUIRE(Renew(state, "w", 1, At(4)).ok());
  CHECK(state.NextExpiry() == At(9));
  CHECK(state.Expire(At(8.999)).empty());
  CHECK(state.Expire(At(9)) == std::vector<std::string>{"w"});
  CHECK(state.NextExpiry() == Instant::Infinite());
  CHECK(absl::IsFailedPrecondition(Renew(state, "w", 1, At(9))));
}

TEST_CASE("RegistryState: a renewal at the end of its lease is too late", "[registry][state]") {
  RegistryState state = AState();
  REQUIRE(Register(state, "w", 1, At(0)).ok());
  CHECK(absl::IsFailedPrecondition(Renew(state, "w", 1, At(5))));
  CHECK(state.Expire(At(5)).size() == 1);
}

TEST_CASE("RegistryState: only a renewal that says something new is a change",
          "[registry][state]") {
  RegistryState state = AState();
  REQUIRE(Register(state, "w", 1, At(0)).ok());
  REQUIRE(Renew(state, "w", 1, At(1)).ok());
  CHECK(state.revision() == 1);
  REQUIRE(Renew(state, "w", 1, At(1), v1::WORKER_STATE_READY, 4).ok());
  CHECK(state.revision() == 2);
  REQUIRE(Renew(state, "w", 1, At(1), v1::WORKER_STATE_DRAINING, 4).ok());
  CHECK(state.revision() == 3);
  CHECK(BadField(Renew(state, "w", 1, At(1), v1::WORKER_STATE_UNSPECIFIED)) == "state");
  CHECK(state.revision() == 3);
}

TEST_CASE("RegistryState: the newer epoch holds the lease", "[registry][state]") {
  RegistryState state = AState();
  REQUIRE(Register(state, "w", 1, At(0)).ok());
  REQUIRE(Register(state, "w", 2, At(1)).ok());
  CHECK(absl::IsFailedPrecondition(Renew(state, "w", 1, At(2))));
  CHECK(absl::IsFailedPrecondition(state.Leave("w", 1)));
  CHECK(absl::IsFailedPrecondition(Register(state, "w", 1, At(2))));
  CHECK(Renew(state, "w", 2, At(2)).ok());
  CHECK(state.CountInState(v1::WORKER_STATE_READY) == 1);
}

TEST_CASE("RegistryState: leave removes at once", "[registry][state]") {
  RegistryState state = AState();
  REQUIRE(Register(state, "w", 1, At(0)).ok());
  REQUIRE(state.Leave("w", 1).ok());
  CHECK(state.Since("", 0).snapshot().endpoints_size() == 0);
  CHECK(absl::IsFailedPrecondition(state.Leave("w", 1)));
  CHECK(state.Expire(At(100)).empty());
}

TEST_CASE("RegistryState: who left and said why is back with it", "[registry][state]") {
  RegistryState state = AState();
  const auto reason = [&] {
    return state.Since("", 0).snapshot().endpoints(0).last_leave_reason();
  };
  REQUIRE(Register(state, "w", 1, At(0)).ok());
  CHECK(reason().empty());
  REQUIRE(state.Leave("w", 1, "a batch ran for over 1m").ok());
  REQUIRE(Register(state, "w", 2, At(1)).ok());
  CHECK(reason() == "a batch ran for over 1m");
  // Registered anew, it has not left.
  REQUIRE(Register(state, "w", 3, At(1)).ok());
  CHECK(reason() == "a batch ran for over 1m");
  REQUIRE(state.Leave("w", 3, std::string(100'000, 'x')).ok());
  REQUIRE(Register(state, "w", 4, At(2)).ok());
  CHECK(reason().size() < 300);
  REQUIRE(state.Leave("w", 4).ok());
  REQUIRE(Register(state, "w", 5, At(3)).ok());
  CHECK(reason().empty());
}

TEST_CASE("RegistryState: remembers the reasons of the last only", "[registry][state]") {
  RegistryState state = AState();
  for (int i = 0; i <= 1000; ++i) {
    const std::string id = "w" + std::to_string(i);
    REQUIRE(Register(state, id, 1, At(0)).ok());
    REQUIRE(state.Leave(id, 1, "why").ok());
  }
  for (const char* id : {"w0", "w1"}) REQUIRE(Register(state, id, 2, At(0)).ok());
  const auto all = state.Since("", 0).snapshot();
  CHECK(all.endpoints(0).last_leave_reason().empty());
  CHECK(all.endpoints(1).last_leave_reason() == "why");
}

TEST_CASE("RegistryState: whoever resumes gets what changed since, once", "[registry][state]") {
  RegistryState state = AState();
  REQUIRE(Register(state, "a", 1, At(0)).ok());
  REQUIRE(Register(state, "b", 2, At(0)).ok());
  REQUIRE(Register(state, "c", 3, At(0)).ok());
  const uint64_t seen = state.revision();
  for (uint32_t queued = 1; queued <= 10; ++queued) {
    REQUIRE(Renew(state, "a", 1, At(1), v1::WORKER_STATE_READY, queued).ok());
  }
  REQUIRE(state.Leave("b", 2).ok());

  const v1::WatchResponse news = state.Since("life", seen);
  REQUIRE(news.has_delta());
  REQUIRE(news.delta().updated_size() == 1);
  CHECK(news.delta().updated(0).load().queued() == 10);
  REQUIRE(news.delta().removed_size() == 1);
  CHECK(news.delta().removed(0) == "b");
  CHECK(news.revision() == state.revision());
  const v1::WatchResponse nothing = state.Since("life", state.revision());
  CHECK(nothing.has_delta());
  CHECK(nothing.delta().updated_size() + nothing.delta().removed_size() == 0);
}

TEST_CASE("RegistryState: who is gone and back is an update only", "[registry][state]") {
  RegistryState state = AState();
  REQUIRE(Register(state, "w", 1, At(0)).ok());
  REQUIRE(state.Leave("w", 1).ok());
  REQUIRE(Register(state, "w", 2, At(0)).ok());
  const v1::WatchResponse news = state.Since("life", 1);
  CHECK(news.delta().removed_size() == 0);
  REQUIRE(news.delta().updated_size() == 1);
  CHECK(news.delta().updated(0).epoch() == 2);
}

TEST_CASE("RegistryState: a watcher behind the log gets a snapshot", "[registry][state]") {
  RegistryState state = AState(2);
  for (const char* id : {"a", "b", "c", "d"}) REQUIRE(Register(state, id, 1, At(0)).ok());
  for (const char* id : {"a", "b", "c"}) REQUIRE(state.Leave(id, 1).ok());  // revisions 5, 6, 7
  CHECK(state.Since("life", 4).has_snapshot());
  const v1::WatchResponse news = state.Since("life", 5);
  CHECK(news.has_delta());
  CHECK(news.delta().removed_size() == 2);
}

TEST_CASE("RegistryState: another incarnation, or a revision to come, gets a snapshot",
          "[registry][state]") {
  RegistryState state = AState();
  REQUIRE(Register(state, "w", 1, At(0)).ok());
  CHECK(state.Since("other", 1).has_snapshot());
  CHECK(state.Since("life", 2).has_snapshot());
}

// Applies what a watcher is told, as a watcher does.
void Apply(const v1::WatchResponse& news, std::map<std::string, std::string>& seen) {
  if (news.has_snapshot()) seen.clear();
  for (const auto& e : news.snapshot().endpoints()) {
    seen[e.worker().worker_id()] = e.SerializeAsString();
  }
  for (const auto& e : news.delta().updated()) seen[e.worker().worker_id()] = e.SerializeAsString();
  for (const auto& id : news.delta().removed()) seen.erase(id);
}

TEST_CASE("RegistryState: whoever resumes, however rarely, ends with the whole fleet",
          "[registry][state]") {
  std::minstd_rand random(GENERATE(1, 2, 3, 4, 5));
  RegistryState state = AState(20);
  std::map<std::string, std::string> seen;
  std::map<std::string, uint64_t> epochs;
  std::string incarnation;
  uint64_t revision = 0, next_epoch = 1;
  Instant now = At(0);
  for (int step = 0; step < 2000; ++step) {
    const std::string id(1, static_cast<char>('a' + random() % 8));
    now = now + absl::Milliseconds(random() % 800);
    state.Expire(now);
    switch (random() % 4) {
      case 0:
        REQUIRE(Register(state, id, epochs[id] = next_epoch++, now).ok());
        break;
      case 1:
        (void)state.Leave(id, epochs[id]);
        break;
      default:
        (void)Renew(state, id, epochs[id], now, v1::WORKER_STATE_READY, random() % 3);
    }
    if (random() % 15 != 0) continue;
    const v1::WatchResponse news = state.Since(incarnation, revision);
    REQUIRE(news.revision() >= revision);
    Apply(news, seen);
    incarnation = news.incarnation();
    revision = news.revision();
    std::map<std::string, std::string> whole;
    Apply(state.Since("", 0), whole);
    REQUIRE(seen == whole);
  }
}

}  // namespace
}  // namespace torchfleet::registry
