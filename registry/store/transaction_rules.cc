#include "registry/store/transaction_rules.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace torchfleet::registry {
namespace {

absl::Status CheckWrite(Space space, const Write& write) {
  if (write.key.empty()) return absl::InvalidArgumentError("a write has no key");
  if (space == Space::kCatalogue && write.lease != 0) {
    return absl::InvalidArgumentError(absl::StrCat("catalogue key '", Clip(write.key),
                                                   "' came with lease ", write.lease,
                                                   "; only live keys hang on leases"));
  }
  if (space == Space::kLive && write.value != nullptr && write.lease == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("live key '", Clip(write.key), "' came without a lease"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRules(const Transaction& transaction) {
  if (transaction.writes.size() > kMaxWrites) {
    return absl::InvalidArgumentError(absl::StrCat("a transaction came with ",
                                                   transaction.writes.size(),
                                                   " writes; expected at most ", kMaxWrites));
  }
  std::vector<std::string_view> keys;
  keys.reserve(transaction.writes.size());
  for (const Write& write : transaction.writes) {
    RETURN_IF_ERROR(CheckWrite(transaction.space, write));
    keys.push_back(write.key);
  }
  std::sort(keys.begin(), keys.end());
  if (const auto twice = std::adjacent_find(keys.begin(), keys.end()); twice != keys.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("key '", Clip(*twice), "' came twice in one transaction"));
  }
  return absl::OkStatus();
}

absl::Status ConditionFailed(const Condition& condition, uint64_t found) {
  const std::string key = Clip(condition.key);
  if (condition.modified == 0) {
    return absl::AbortedError(
        absl::StrCat("'", key, "' is there at revision ", found, "; expected that it is not"));
  }
  if (found == 0) {
    return absl::AbortedError(
        absl::StrCat("'", key, "' is not there; expected revision ", condition.modified));
  }
  return absl::AbortedError(
      absl::StrCat("'", key, "' is at revision ", found, "; expected ", condition.modified));
}

absl::Status LeaseEnded(LeaseId lease) {
  return absl::NotFoundError(absl::StrCat("lease ", lease, " has ended, or never began"));
}

}  // namespace torchfleet::registry
