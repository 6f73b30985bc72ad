// Every store beside a plain model: random transactions, leases that are given
// up, restarts.

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <map>
#include <random>

#include "tests/unit/registry/store/store_calls.h"
#include "tests/unit/registry/store/store_kinds.h"

namespace torchfleet::registry {
namespace {

constexpr absl::Duration kLong = absl::Minutes(10);

struct PlainItem {
  std::string value;
  uint64_t created = 0, modified = 0;
  LeaseId lease = 0;
  friend bool operator==(const PlainItem&, const PlainItem&) = default;
};

using PlainItems = std::map<std::string, PlainItem>;

PlainItems Known(const Follower& follower, Space space) {
  PlainItems known;
  for (const auto& [key, item] : follower.items(space)) {
    known[key] = {*item.value, item.created, item.modified, item.lease};
  }
  return known;
}

class RandomLife {
 public:
  RandomLife(const StoreKind& kind, unsigned seed)
      : kind_(kind),
        random_(seed),
        opened_(kind.open()),
        follower_(std::make_unique<Follower>(opened_->store())) {}

  void Step() {
    const int what = Below(20);
    if (what == 0) return Restart();
    if (what == 1) return Revoke();
    if (what <= 3) {
      leases_.push_back(*Grant(opened_->store(), kLong));
      return;
    }
    TryTransaction();
  }

  void Compare() {
    REQUIRE(follower_->WaitForRevision(*Latest(opened_->store())));
    CHECK(follower_->broken() == "");
    for (const Space space : {Space::kCatalogue, Space::kLive}) {
      REQUIRE(Known(*follower_, space) == plain_[space]);
    }
  }

 private:
  void TryTransaction() {
    const Transaction transaction = SomeTransaction();
    auto& plain = plain_[transaction.space];
    bool holds = true, changes = false;
    for (const Condition& condition : transaction.conditions) {
      const auto found = plain.find(condition.key);
      holds &= (found == plain.end() ? 0 : found->second.modified) == condition.modified;
    }
    for (const Write& write : transaction.writes) {
      changes |= write.value != nullptr || plain.contains(write.key);
    }
    const auto revision = Commit(opened_->store(), transaction);
    REQUIRE(revision.status().code() ==
            (holds ? absl::StatusCode::kOk : absl::StatusCode::kAborted));
    if (!holds || !changes) return;
    auto& latest = latest_[transaction.space];
    REQUIRE(*revision > latest);
    latest = *revision;
    for (const Write& write : transaction.writes) {
      if (write.value == nullptr) {
        plain.erase(write.key);
      } else {
        const uint64_t created = plain.contains(write.key) ? plain[write.key].created : *revision;
        plain[write.key] = {*write.value, created, *revision, write.lease};
      }
    }
  }

  Transaction SomeTransaction() {
    Transaction transaction;
    if (!leases_.empty() && Below(2) == 0) transaction.space = Space::kLive;
    const bool live = transaction.space == Space::kLive;
    const auto& plain = plain_[transaction.space];
    for (int i = Below(3); i > 0; --i) {
      const std::string key = "k" + std::to_string(Below(8));
      const auto found = plain.find(key);
      const uint64_t now = found == plain.end() ? 0 : found->second.modified;
      transaction.conditions.push_back({.key = key, .modified = Below(4) == 0 ? now + 1 : now});
    }
    const LeaseId lease =
        live ? leases_[static_cast<size_t>(Below(static_cast<int>(leases_.size())))] : 0;
    for (int k = Below(8), end = k + Below(4); k < end; ++k) {
      const bool put = Below(3) != 0;
      transaction.writes.push_back({.key = "k" + std::to_string(k),
                                    .value = put ? Text(std::to_string(Below(1000))) : nullptr,
                                    .lease = put ? lease : 0});
    }
    return transaction;
  }

  void Revoke() {
    if (leases_.empty()) return;
    const LeaseId lease = leases_.front();
    leases_.erase(leases_.begin());
    REQUIRE(registry::Revoke(opened_->store(), lease).ok());
    std::erase_if(plain_[Space::kLive], [&](const auto& it) { return it.second.lease == lease; });
  }

  void Restart() {
    const Position before = follower_->position();
    follower_.reset();
    opened_->Restart();
    if (!kind_.durable) plain_[Space::kCatalogue].clear();
    if (!kind_.live_outlives_registry) {
      plain_[Space::kLive].clear();
      leases_.clear();
    }
    follower_ = std::make_unique<Follower>(opened_->store());
    Compare();
    CHECK(follower_->position().revision >= before.revision);
  }

  int Below(int n) { return std::uniform_int_distribution(0, n - 1)(random_); }

  const StoreKind& kind_;
  std::mt19937 random_;
  std::unique_ptr<OpenedStore> opened_;
  std::unique_ptr<Follower> follower_;
  std::map<Space, PlainItems> plain_;
  std::map<Space, uint64_t> latest_;
  std::vector<LeaseId> leases_;
};

TEST_CASE("Store: does what a plain model does, over restarts", "[registry][store]") {
  const StoreKind& kind = StoreKinds()[GENERATE(range(size_t{0}, StoreKinds().size()))];
  const unsigned seed = GENERATE(range(1U, 5U));
  CAPTURE(kind.name, seed);
  RandomLife life(kind, seed);
  for (int i = 0; i < 80; ++i) {
    life.Step();
    life.Compare();
  }
}

}  // namespace
}  // namespace torchfleet::registry
