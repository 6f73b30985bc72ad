#include "registry/commands/catalogue_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "registry/state/keys.h"

namespace torchfleet::registry {

namespace {

// Key to item.
using Catalogue = std::map<std::string, Item>;

// Takes the first news of a store and no more.
class FirstItems : public StoreListener {
 public:
  void OnItems(std::span<const Item> catalogue, std::span<const Item>, const Position&) override {
    if (std::exchange(heard_, true)) return;
    Catalogue items;
    for (const Item& item : catalogue) items.emplace(item.key, item);
    items_.set_value(std::move(items));
  }
  void OnEvents(Space, std::span<const Item>, uint64_t) override {}
  void OnAvailable(bool) override {}

  Catalogue Wait() { return items_.get_future().get(); }

 private:
  bool heard_ = false;
  std::promise<Catalogue> items_;
};

Catalogue Read(Store& store) {
  FirstItems listener;
  store.Follow(listener);
  Catalogue items = listener.Wait();
  store.Unfollow(listener);
  return items;
}

absl::Status Commit(Store& store, Transaction transaction) {
  std::promise<absl::Status> promise;
  store.Commit(std::move(transaction), [&](const absl::StatusOr<uint64_t>& committed) {
    promise.set_value(committed.status());
  });
  return promise.get_future().get();
}

absl::Status RemoveAll(Store& store, const Catalogue& items) {
  Transaction transaction;
  for (const auto& [key, item] : items) {
    transaction.writes.push_back({.key = key});
    if (transaction.writes.size() == kMaxWrites) {
      RETURN_IF_ERROR(Commit(store, std::exchange(transaction, {})));
    }
  }
  return transaction.writes.empty() ? absl::OkStatus() : Commit(store, std::move(transaction));
}

absl::Status WriteAll(Store& store, const Catalogue& items) {
  std::vector<const Item*> ordered;
  for (const auto& [key, item] : items) ordered.push_back(&item);
  std::ranges::stable_sort(ordered, {}, &Item::modified);
  Transaction transaction;
  for (size_t i = 0; i < ordered.size(); ++i) {
    const Item& item = *ordered[i];
    transaction.conditions.push_back({.key = item.key});
    transaction.writes.push_back({.key = item.key, .value = item.value});
    const bool last = i + 1 == ordered.size() || ordered[i + 1]->modified != item.modified;
    if (last || transaction.writes.size() == kMaxWrites) {
      RETURN_IF_ERROR(Commit(store, std::exchange(transaction, {})));
    }
  }
  return absl::OkStatus();
}

absl::Status Compare(const Catalogue& wanted, const Catalogue& found) {
  const bool same = std::ranges::equal(wanted, found, [](const auto& a, const auto& b) {
    return a.first == b.first && *a.second.value == *b.second.value;
  });
  if (same) return absl::OkStatus();
  return absl::DataLossError(
      fmt::format("the target holds {} items that are not the {} that were copied; somebody else "
                  "writes there, or it lost some",
                  found.size(), wanted.size()));
}

}  // namespace

absl::StatusOr<CopiedCatalogue> CopyCatalogue(Store& from, Store& to, bool replace) {
  const Catalogue items = Read(from);
  const Catalogue before = Read(to);
  if (!before.empty() && !replace) {
    return absl::FailedPreconditionError(
        fmt::format("the target holds {} items already; expected none, or --force to replace them",
                    before.size()));
  }
  RETURN_IF_ERROR(RemoveAll(to, before));
  RETURN_IF_ERROR(WriteAll(to, items));
  RETURN_IF_ERROR(Compare(items, Read(to)));
  CopiedCatalogue copied;
  for (const auto& [key, item] : items) {
    copied.models += KeyIs(kModels, key);
    copied.routes += KeyIs(kRoutes, key);
    copied.changes += KeyIs(kChanges, key);
  }
  return copied;
}

}  // namespace torchfleet::registry
