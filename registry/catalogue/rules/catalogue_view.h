#pragma once
// The catalogue as the store's followers hear of it: models and routes ready to
// be answered, and the audit trail in its order.
//
// Pure: items and events in, lookups out. Not thread-safe.

#include <compare>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "registry/store/store.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::registry {

class CatalogueView {
 public:
  // Where a change is in the trail: the revision that it made, then its key,
  // since a transaction that copies a catalogue makes many at once.
  using Place = std::pair<uint64_t, std::string>;

  struct KeptChange {
    Value value;
    // Whose model or route it changed.
    std::string model;
  };

  // Everything there is; replaces what was known.
  void Replace(std::span<const Item> catalogue);
  void Apply(std::span<const Item> events);

  // With their revisions; by name, by model.
  const std::map<std::string, v1::Model, std::less<>>& models() const { return models_; }
  const std::map<std::string, v1::Route, std::less<>>& routes() const { return routes_; }
  // Null where there is none.
  const v1::Model* FindModel(std::string_view name) const;
  const v1::Route* FindRoute(std::string_view model) const;

  // The oldest first.
  const std::map<Place, KeptChange>& changes() const { return changes_; }
  // Of all changes' values.
  size_t change_bytes() const { return change_bytes_; }
  // A kept change with the revision that it made.
  static v1::Change ChangeAt(const Place& place, const KeptChange& kept);

  // Of kRoutesGuard; 0 before the first route.
  uint64_t routes_guard() const { return routes_guard_; }

  // Values that are not what their keys say; each was left out.
  uint64_t unreadable() const { return unreadable_; }

 private:
  void ApplyOne(const Item& item);
  // False when the value is no change.
  bool ApplyChange(const Item& item);
  void Forget(const std::string& change_key);

  std::map<std::string, v1::Model, std::less<>> models_;
  std::map<std::string, v1::Route, std::less<>> routes_;
  std::map<Place, KeptChange> changes_;
  // `created` by key: an event that removes says no more than the key.
  std::unordered_map<std::string, uint64_t> change_places_;
  size_t change_bytes_ = 0;
  uint64_t routes_guard_ = 0;
  uint64_t unreadable_ = 0;
};

}  // namespace torchfleet::registry
