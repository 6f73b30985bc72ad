#pragma once
// What every store demands of a transaction before it looks at its keys. Pure.

#include "absl/status/status.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

// INVALID_ARGUMENT: too many writes, a key twice or empty, a live value without
// a lease, or a lease in the catalogue.
absl::Status CheckRules(const Transaction& transaction);

// What a store says when a condition does not hold; `found` is the item's
// `modified`, 0 when the key is not there.
absl::Status ConditionFailed(const Condition& condition, uint64_t found);

absl::Status LeaseEnded(LeaseId lease);

}  // namespace torchfleet::registry
