#include "registry/store/key_space.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <map>
#include <random>

#include "tests/unit/registry/store/store_calls.h"

namespace torchfleet::registry {
namespace {

Instant At(double seconds) { return Instant::FromStart(absl::Seconds(seconds)); }

TEST_CASE("KeySpace: leases end in the order of their ends, renewed ones later",
          "[registry][store]") {
  KeySpace keys({.revision = 100});
  const LeaseId a = *keys.Grant(absl::Seconds(5), At(0));
  const LeaseId b = *keys.Grant(absl::Seconds(3), At(0));
  const LeaseId bare = *keys.Grant(absl::Seconds(1), At(0));
  REQUIRE(keys.Commit(PutLive("a", "1", a)).ok());
  REQUIRE(keys.Commit(PutLive("b", "1", b)).ok());
  CHECK(keys.NextEnd() == At(1));
  CHECK(keys.EndLeases(At(2.9)).empty());
  CHECK(absl::IsNotFound(keys.Renew(bare, At(2.9))));
  CHECK(keys.revision() == 102);

  REQUIRE(keys.Renew(b, At(2.9)).ok());
  CHECK(keys.NextEnd() == At(5));
  const auto ended = keys.EndLeases(At(10));
  REQUIRE(ended.size() == 2);
  CHECK(ended[0].events[0].key == "a");
  CHECK(ended[0].revision == 103);
  CHECK(ended[1].events[0].key == "b");
  CHECK(ended[1].events[0].modified == 104);
  CHECK(keys.NextEnd() == Instant::Infinite());
  CHECK(keys.Items(Space::kLive).empty());
}

TEST_CASE("KeySpace: a lease needs a time to live", "[registry][store]") {
  KeySpace keys({});
  CHECK(absl::IsInvalidArgument(keys.Grant(absl::ZeroDuration(), At(0)).status()));
}

TEST_CASE("KeySpace: catalogue items have a count of their own", "[registry][store]") {
  KeySpace keys({.revision = 1000,
                 .catalogue_revision = 7,
                 .catalogue = {{.key = "a", .value = Text("1"), .created = 3, .modified = 7}}});
  const LeaseId lease = *keys.Grant(absl::Seconds(5), At(0));
  CHECK(keys.Commit(PutLive("w", "1", lease))->revision == 1001);
  const auto outcome = keys.Commit(PutIf("a", "2", 7));
  REQUIRE(outcome.ok());
  CHECK(outcome->revision == 8);
  CHECK(outcome->change.revision == 1002);
  CHECK(keys.Items(Space::kCatalogue)[0].created == 3);
}

std::string ShowItems(const std::map<std::string, Item>& items) {
  std::string text;
  for (const auto& [key, item] : items) {
    text += key + "=" + *item.value + "@" + std::to_string(item.created) + "/" +
            std::to_string(item.lease) + " ";
  }
  return text;
}

// The same without any cleverness: everything is looked for one by one.
class PlainKeys {
 public:
  absl::StatusCode Commit(const Transaction& transaction) {
    auto& items = items_[transaction.space];
    for (const Condition& condition : transaction.conditions) {
      const auto found = items.find(condition.key);
      if ((found == items.end() ? 0 : found->second.modified) != condition.modified) {
        return absl::StatusCode::kAborted;
      }
    }
    bool changes = false;
    for (const Write& write : transaction.writes) {
      if (write.lease != 0 && write.value != nullptr && !leases_.contains(write.lease)) {
        return absl::StatusCode::kNotFound;
      }
      changes |= write.value != nullptr || items.contains(write.key);
    }
    if (!changes) return absl::StatusCode::kOk;
    ++revision_;
    const bool live = transaction.space == Space::kLive;
    const uint64_t revision = live ? revision_ : ++catalogue_revision_;
    for (const Write& write : transaction.writes) {
      if (write.value == nullptr) {
        items.erase(write.key);
        continue;
      }
      const uint64_t created = items.contains(write.key) ? items[write.key].created : revision;
      items[write.key] = {write.key, write.value, created, revision, write.lease};
    }
    return absl::StatusCode::kOk;
  }
  void Grant(LeaseId lease, absl::Duration ttl, Instant now) { leases_[lease] = {ttl, now + ttl}; }
  bool Renew(LeaseId lease, Instant now) {
    if (!leases_.contains(lease)) return false;
    leases_[lease].second = now + leases_[lease].first;
    return true;
  }
  bool Revoke(LeaseId lease) {
    if (leases_.erase(lease) == 0) return false;
    auto& live = items_[Space::kLive];
    if (std::erase_if(live, [&](const auto& it) { return it.second.lease == lease; }) > 0) {
      ++revision_;
    }
    return true;
  }
  void EndLeases(Instant now) {
    for (auto at = leases_.begin(); at != leases_.end();) {
      const auto [lease, life] = *at++;
      if (life.second <= now) Revoke(lease);
    }
  }
  std::string Show(Space space) { return ShowItems(items_[space]); }
  uint64_t modified(Space space, const std::string& key) { return items_[space][key].modified; }
  bool has(Space space, const std::string& key) { return items_[space].contains(key); }
  uint64_t revision() const { return revision_; }

 private:
  std::map<Space, std::map<std::string, Item>> items_;
  std::map<LeaseId, std::pair<absl::Duration, Instant>> leases_;
  uint64_t revision_ = 0, catalogue_revision_ = 0;
};

// What a follower would know, from the changes alone.
class Told {
 public:
  void Hear(const KeySpace::Change& change) {
    for (const Item& event : change.events) {
      if (event.value == nullptr) {
        items_[change.space].erase(event.key);
      } else {
        items_[change.space][event.key] = event;
      }
    }
  }
  std::string Show(Space space) { return ShowItems(items_[space]); }

 private:
  std::map<Space, std::map<std::string, Item>> items_;
};

class RandomSteps {
 public:
  explicit RandomSteps(unsigned seed) : random_(seed) {}

  void Step() {
    now_ += absl::Milliseconds(Below(400));
    switch (Below(8)) {
      case 0: {
        const absl::Duration ttl = absl::Milliseconds(100 + Below(3000));
        leases_.push_back(*keys_.Grant(ttl, Now()));
        plain_.Grant(leases_.back(), ttl, Now());
        break;
      }
      case 1: {
        const LeaseId lease = SomeLease();
        CHECK(keys_.Renew(lease, Now()).ok() == plain_.Renew(lease, Now()));
        break;
      }
      case 2: {
        const LeaseId lease = SomeLease();
        auto change = keys_.Revoke(lease);
        CHECK(change.ok() == plain_.Revoke(lease));
        if (change.ok()) told_.Hear(*change);
        break;
      }
      case 3:
        for (const auto& change : keys_.EndLeases(Now())) told_.Hear(change);
        plain_.EndLeases(Now());
        break;
      default: {
        const Transaction transaction = SomeTransaction();
        const auto outcome = keys_.Commit(transaction);
        CHECK(outcome.status().code() == plain_.Commit(transaction));
        if (outcome.ok()) told_.Hear(outcome->change);
      }
    }
    for (const Space space : {Space::kCatalogue, Space::kLive}) {
      std::map<std::string, Item> items;
      for (const Item& item : keys_.Items(space)) items[item.key] = item;
      REQUIRE(ShowItems(items) == plain_.Show(space));
      REQUIRE(told_.Show(space) == plain_.Show(space));
    }
    REQUIRE(keys_.revision() == plain_.revision());
  }

 private:
  Transaction SomeTransaction() {
    Transaction transaction{.space = Below(2) == 0 ? Space::kLive : Space::kCatalogue};
    const bool live = transaction.space == Space::kLive;
    for (int i = Below(3); i > 0; --i) {
      const std::string key = SomeKey();
      uint64_t modified = Below(20);
      if (Below(4) != 0) {
        modified = plain_.has(transaction.space, key) ? plain_.modified(transaction.space, key) : 0;
      }
      transaction.conditions.push_back({.key = key, .modified = modified});
    }
    const LeaseId lease = live ? SomeLease() : 0;
    for (int k = Below(10), end = k + Below(4); k < end; ++k) {
      const Value value = Below(3) == 0 ? nullptr : Text(std::to_string(Below(100)));
      transaction.writes.push_back(
          {.key = "k" + std::to_string(k), .value = value, .lease = lease});
    }
    return transaction;
  }
  std::string SomeKey() { return "k" + std::to_string(Below(10)); }
  LeaseId SomeLease() {
    if (leases_.empty() || Below(10) == 0) return 12345;
    const size_t newest = std::min<size_t>(leases_.size(), 5);
    return leases_[leases_.size() - 1 - static_cast<size_t>(Below(static_cast<int>(newest)))];
  }
  int Below(int n) { return std::uniform_int_distribution(0, n - 1)(random_); }
  Instant Now() const { return Instant::FromStart(now_); }

  std::mt19937 random_;
  absl::Duration now_;
  KeySpace keys_{{}};
  PlainKeys plain_;
  Told told_;
  std::vector<LeaseId> leases_;
};

TEST_CASE("KeySpace: does what a plain model does, whatever comes", "[registry][store]") {
  const unsigned seed = GENERATE(range(1U, 31U));
  CAPTURE(seed);
  RandomSteps steps(seed);
  for (int i = 0; i < 400; ++i) steps.Step();
}

}  // namespace
}  // namespace torchfleet::registry
