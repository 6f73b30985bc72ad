#include "registry/store/key_space.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "registry/store/transaction_rules.h"

namespace torchfleet::registry {

// Leases count on from the revision, so that no life gives an id of another.
KeySpace::KeySpace(Beginning beginning)
    : leases_(static_cast<LeaseId>(beginning.revision)),
      revision_(beginning.revision),
      catalogue_revision_(beginning.catalogue_revision) {
  for (Item& item : beginning.catalogue) {
    const std::string key = item.key;
    catalogue_.Restore(key, std::move(item));
  }
}

absl::StatusOr<KeySpace::Outcome> KeySpace::Commit(Transaction transaction) {
  RETURN_IF_ERROR(CheckRules(transaction));
  const bool live = transaction.space == Space::kLive;
  const KeyTable& table = live ? live_ : catalogue_;
  RETURN_IF_ERROR(table.Check(transaction.conditions));
  for (const Write& write : transaction.writes) {
    if (live && write.value != nullptr && !leases_.Has(write.lease)) {
      return LeaseEnded(write.lease);
    }
  }
  Outcome outcome;
  outcome.change.space = transaction.space;
  if (table.Changes(transaction.writes)) {
    ++revision_;
    const uint64_t revision = live ? revision_ : ++catalogue_revision_;
    outcome.change.events = Apply(std::move(transaction), revision);
  }
  outcome.revision = live ? revision_ : catalogue_revision_;
  outcome.change.revision = revision_;
  return outcome;
}

std::vector<Item> KeySpace::Apply(Transaction transaction, uint64_t revision) {
  KeyTable& table = transaction.space == Space::kLive ? live_ : catalogue_;
  std::vector<Item> events;
  events.reserve(transaction.writes.size());
  for (Write& write : transaction.writes) {
    const Item* before = table.Find(write.key);
    const LeaseId held = before == nullptr ? 0 : before->lease;
    const LeaseId wanted = write.value == nullptr ? 0 : write.lease;
    if (held != wanted) {
      leases_.Detach(held, write.key);
      leases_.Attach(wanted, write.key);
    }
    if (write.value != nullptr) {
      events.push_back(table.Put(std::move(write), revision));
    } else if (auto gone = table.Remove(write.key, revision)) {
      events.push_back(*std::move(gone));
    }
  }
  return events;
}

absl::StatusOr<LeaseId> KeySpace::Grant(absl::Duration ttl, Instant now) {
  if (ttl <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a lease came with a ttl of ", absl::FormatDuration(ttl), "; expected more than nothing"));
  }
  return leases_.Grant(ttl, now);
}

absl::Status KeySpace::Renew(LeaseId lease, Instant now) {
  return leases_.Renew(lease, now) ? absl::OkStatus() : LeaseEnded(lease);
}

absl::StatusOr<KeySpace::Change> KeySpace::Revoke(LeaseId lease) {
  if (!leases_.Has(lease)) return LeaseEnded(lease);
  return End(lease);
}

std::vector<KeySpace::Change> KeySpace::EndLeases(Instant now) {
  std::vector<Change> changes;
  for (const LeaseId lease : leases_.Ended(now)) {
    Change change = End(lease);
    if (!change.events.empty()) changes.push_back(std::move(change));
  }
  return changes;
}

KeySpace::Change KeySpace::End(LeaseId lease) {
  Change change{.space = Space::kLive};
  const std::set<std::string> keys = leases_.End(lease);
  if (!keys.empty()) ++revision_;
  for (const std::string& key : keys) {
    if (auto gone = live_.Remove(key, revision_)) change.events.push_back(*std::move(gone));
  }
  change.revision = revision_;
  return change;
}

std::vector<Item> KeySpace::Items(Space space) const {
  return space == Space::kLive ? live_.Items() : catalogue_.Items();
}

}  // namespace torchfleet::registry
