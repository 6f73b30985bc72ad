#pragma once
// The items of one space. Pure.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "registry/store/store.h"

namespace torchfleet::registry {

class KeyTable {
 public:
  // Nullptr when the key is not there. Borrowed until the next change.
  const Item* Find(const std::string& key) const;

  // ABORTED when one does not hold.
  absl::Status Check(std::span<const Condition> conditions) const;

  // Would any of these change something? Removing what is not there does not.
  bool Changes(std::span<const Write> writes) const;

  // Each returns the event that tells of it.
  Item Put(Write write, uint64_t revision);
  // Nothing when the key was not there.
  std::optional<Item> Remove(const std::string& key, uint64_t revision);

  // The item exactly as it was; nothing: it was not there.
  void Restore(const std::string& key, std::optional<Item> item);

  // All, sorted by key.
  std::vector<Item> Items() const;

 private:
  std::map<std::string, Item> items_;
};

}  // namespace torchfleet::registry
