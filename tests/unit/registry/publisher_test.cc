#include "registry/watch/publisher.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>

#include "tests/unit/registry/fleet_model.h"

namespace torchfleet::registry {
namespace {

// Far beyond what anything here takes; a test that waits this long fails.
constexpr std::chrono::seconds kLimit(20);

constexpr RoundPolicy::Options kAtOnce{.interval = absl::ZeroDuration(),
                                       .longest_interval = absl::ZeroDuration(),
                                       .load_interval = absl::ZeroDuration()};

// Fleet and publisher, told what a store would tell them.
class Told : public FleetListener {
 public:
  explicit Told(Publisher::Options options)
      : fleet({.ttl = absl::Seconds(5), .most_gone = 5}, clock), publisher(options, fleet, clock) {
    fleet.SetListener(*this);
    fleet.OnItems({}, {}, position);
  }

  void Commit(std::minstd_rand& random) {
    const auto [space, events] = RandomCommit(random, plain, ++position.revision);
    fleet.OnEvents(space, events, position.revision);
  }
  void Register(const std::string& id) {
    const uint64_t revision = ++position.revision;
    std::vector<Item> events;
    for (const auto& [key, value] :
         {std::pair(Key(kConditions, id), Bytes(ACondition(id, v1::WORKER_STATE_READY))),
          std::pair(Key(kLoads, id), Bytes(ALoad(0))),
          std::pair(Key(kWorkers, id), Bytes(AWorkerOf(id, "x")))}) {
      events.push_back({.key = key, .value = value, .created = 0, .modified = revision});
      plain[key] = events.back();
    }
    fleet.OnEvents(Space::kLive, events, revision);
  }

  void SetLoad(const std::string& id, uint32_t queued) {
    const Item item{.key = Key(kLoads, id),
                    .value = Bytes(ALoad(queued)),
                    .created = 0,
                    .modified = ++position.revision};
    plain[item.key] = item;
    fleet.OnEvents(Space::kLive, std::span(&item, 1), position.revision);
  }

  void OnChange(bool urgent) override { publisher.OnChange(urgent); }
  void OnDrainWishes(const std::vector<std::string>&) override {}
  void OnAvailable(bool available) override { publisher.OnAvailable(available); }

  const MonotonicClock clock;
  Plain plain;
  Position position{"life", 1};
  Fleet fleet;
  Publisher publisher;
};

// A watcher whose stream takes messages at once, or holds each until Release.
class Watching : public WatchSink, public std::enable_shared_from_this<Watching> {
 public:
  Watching(Told& told, SeenBy seen) : told_(told), seen_(std::move(seen)) {}

  void Begin() {
    cursor_ = std::make_shared<WatchCursor>();
    cursor_->position = seen_.position;
    cursor_->filter = seen_.filter;
    cursor_->sink = shared_from_this();
    told_.publisher.Add(cursor_);
  }
  // The stream breaks; what it still held is lost.
  SeenBy Cut() {
    told_.publisher.Remove(cursor_);
    const std::lock_guard lock(mu_);
    cut_ = true;
    return seen_;
  }
  void Hold() {
    const std::lock_guard lock(mu_);
    holds_ = true;
  }
  void Release() {
    {
      const std::lock_guard lock(mu_);
      holds_ = false;
      if (!held_) return;
      Heed(*std::exchange(held_, std::nullopt));
    }
    told_.publisher.Written(cursor_);
  }

  void Write(const grpc::Slice& message) override {
    {
      const std::lock_guard lock(mu_);
      if (cut_) return;
      v1::WatchResponse response;
      if (!response.ParseFromArray(message.begin(), static_cast<int>(message.size()))) return;
      if (holds_) {
        held_ = std::move(response);
        changed_.notify_all();
        return;
      }
      Heed(response);
    }
    told_.publisher.Written(cursor_);
  }
  void End(const absl::Status& why) override {
    const std::lock_guard lock(mu_);
    ++ends_;
    why_ = why;
    changed_.notify_all();
  }

  // Whether it comes to hold; `reached` runs under the lock.
  bool Await(const std::function<bool()>& reached) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, kLimit, reached);
  }
  bool AwaitAll() {
    return Await([&] { return seen_.seen == Expected(told_.plain, seen_.filter); });
  }
  // For Await's conditions.
  bool knows(const std::string& id) const { return seen_.endpoints.contains(id); }
  bool held() const { return held_.has_value(); }
  int messages() const { return messages_; }
  int snapshots() const { return snapshots_; }
  int ends() const { return ends_; }
  const absl::Status& why() const { return why_; }

 private:
  void Heed(const v1::WatchResponse& response) {
    ++messages_;
    if (response.has_snapshot()) {
      ++snapshots_;
      seen_.seen.clear();
      seen_.endpoints.clear();
    }
    seen_.Heed(response);
    seen_.position = {response.incarnation(), response.revision()};
    changed_.notify_all();
  }

  Told& told_;
  std::shared_ptr<WatchCursor> cursor_;
  std::mutex mu_;
  std::condition_variable changed_;
  SeenBy seen_;
  bool holds_ = false, cut_ = false;
  std::optional<v1::WatchResponse> held_;
  int messages_ = 0, snapshots_ = 0, ends_ = 0;
  absl::Status why_;
};

std::shared_ptr<Watching> Watch(Told& told, SeenBy seen = {}) {
  auto watching = std::make_shared<Watching>(told, std::move(seen));
  watching->Begin();
  return watching;
}

TEST_CASE("RoundPolicy: a round is due at once, the next later, for loads later still",
          "[registry][watch]") {
  RoundPolicy rounds({.interval = absl::Milliseconds(10), .load_interval = absl::Seconds(1)});
  const Instant now = Instant::FromStart(absl::Seconds(100));
  CHECK(rounds.Next(true) <= now);
  CHECK(rounds.Next(false) <= now);
  rounds.Ran(now, now + absl::Microseconds(100));
  CHECK(rounds.Next(true) == now + absl::Milliseconds(10));
  CHECK(rounds.Next(false) == now + absl::Seconds(1));
}

TEST_CASE("RoundPolicy: rounds that take long are farther apart, within bounds",
          "[registry][watch]") {
  RoundPolicy rounds({.interval = absl::Milliseconds(10),
                      .longest_interval = absl::Milliseconds(30),
                      .load_interval = absl::Milliseconds(20)});
  const Instant now = Instant::FromStart(absl::Seconds(100));
  rounds.Ran(now, now + absl::Milliseconds(2.5));
  CHECK(rounds.Next(true) == now + absl::Milliseconds(25));
  CHECK(rounds.Next(false) == now + absl::Milliseconds(25));
  rounds.Ran(now, now + absl::Milliseconds(250));
  CHECK(rounds.Next(true) == now + absl::Milliseconds(30));
  rounds.Ran(now, now + absl::Milliseconds(0.1));
  CHECK(rounds.Next(true) == now + absl::Milliseconds(10));
}

TEST_CASE("Publisher: what many watchers are told is encoded once", "[registry][watch]") {
  Told told({});
  told.Register("a");
  std::vector<std::shared_ptr<Watching>> watchers;
  for (int i = 0; i < 10; ++i) watchers.push_back(Watch(told));
  for (const auto& watcher : watchers) REQUIRE(watcher->AwaitAll());
  const PublisherFigures before = told.publisher.figures();
  CHECK(before.watchers == 10);
  CHECK(before.snapshots == 10);
  told.Register("b");
  for (const auto& watcher : watchers) REQUIRE(watcher->AwaitAll());
  const PublisherFigures after = told.publisher.figures();
  CHECK(after.encoded == before.encoded + 1);
  CHECK(after.deltas == before.deltas + 10);
  CHECK(after.snapshots == before.snapshots);
  for (const auto& watcher : watchers) watcher->Cut();
}

TEST_CASE("Publisher: loads wait for company, and go with what does not", "[registry][watch]") {
  // Loads alone would wait for longer than the test does.
  Told told({.rounds = {.interval = absl::ZeroDuration(),
                        .longest_interval = absl::ZeroDuration(),
                        .load_interval = absl::Hours(1)}});
  told.Register("a");
  const auto watcher = Watch(told);
  REQUIRE(watcher->AwaitAll());
  told.SetLoad("a", 7);
  told.Register("b");
  CHECK(watcher->AwaitAll());
  CHECK(watcher->Cut().endpoints["a"].load().queued() == 7);
}

TEST_CASE("Publisher: a slow watcher gets what it missed in one message", "[registry][watch]") {
  Told told({.rounds = kAtOnce});
  const auto watcher = Watch(told);
  REQUIRE(watcher->Await([&] { return watcher->messages() == 1; }));
  watcher->Hold();
  told.Register("first");
  REQUIRE(watcher->Await([&] { return watcher->held(); }));
  std::minstd_rand random(1);
  for (int i = 0; i < 100; ++i) told.Commit(random);
  told.Register("last");
  watcher->Release();
  CHECK(watcher->AwaitAll());
  CHECK(watcher->messages() == 3);
  watcher->Cut();
}

TEST_CASE("Publisher: watchers are told to go elsewhere once when the store stays away",
          "[registry][watch]") {
  Told told({.patience = absl::ZeroDuration()});
  told.Register("a");
  const auto watcher = Watch(told);
  REQUIRE(watcher->AwaitAll());
  told.fleet.OnAvailable(false);
  REQUIRE(watcher->Await([&] { return watcher->ends() > 0; }));
  CHECK(absl::IsUnavailable(watcher->why()));
  watcher->Cut();
  // Who comes then gets what is known, and is left in peace.
  const auto later = Watch(told);
  CHECK(later->AwaitAll());
  told.fleet.OnAvailable(true);
  told.Register("b");
  CHECK(later->AwaitAll());
  CHECK(later->ends() == 0);
  later->Cut();
}

TEST_CASE("Publisher: a watcher ahead waits until this registry gets there", "[registry][watch]") {
  Told told({.rounds = kAtOnce});
  told.Register("a");
  SeenBy seen;
  seen.Heed(Parsed(told.fleet.Read([](const FleetState& s) { return s.Snapshot({}); })));
  seen.position = {"life", told.position.revision + 2};
  const auto ahead = Watch(told, seen);
  const auto beside = Watch(told);
  for (const char* id : {"b", "c", "d"}) {
    told.Register(id);
    REQUIRE(beside->AwaitAll());
  }
  // Of the two revisions that it had, it is told nothing.
  CHECK(ahead->Await([&] { return ahead->knows("d"); }));
  CHECK(ahead->snapshots() == 0);
  CHECK_FALSE(ahead->Cut().endpoints.contains("b"));
  beside->Cut();
}

TEST_CASE("Publisher: watchers that are slow, cut and resumed all come to know the whole",
          "[registry][watch]") {
  std::minstd_rand random(GENERATE(1, 2, 3, 4));
  Told told({.rounds = {.interval = absl::Microseconds(200),
                        .longest_interval = absl::Milliseconds(1),
                        .load_interval = absl::Milliseconds(1)}});
  std::vector<std::shared_ptr<Watching>> watchers;
  for (int i = 0; i < 6; ++i) {
    SeenBy seen;
    if (i % 3 == 1) seen.filter = Of({"x"});
    if (i % 3 == 2) seen.filter = Of({"y", "z"});
    watchers.push_back(Watch(told, seen));
  }
  for (int step = 0; step < 400; ++step) {
    told.Commit(random);
    auto& watcher = watchers[random() % watchers.size()];
    switch (random() % 6) {
      case 0:
        watcher->Hold();
        break;
      case 1:
        watcher->Release();
        break;
      case 2:
        watcher = Watch(told, watcher->Cut());
        break;
      case 3:
        if (random() % 20 == 0) {
          told.position.incarnation += "'";
          told.fleet.OnItems(InOrder(told.plain, true), InOrder(told.plain, false), told.position);
        }
        break;
      default:
        break;
    }
  }
  for (const auto& watcher : watchers) watcher->Release();
  for (const auto& watcher : watchers) {
    CHECK(watcher->AwaitAll());
    CHECK(watcher->Cut().strange == 0);
  }
}

}  // namespace
}  // namespace torchfleet::registry
