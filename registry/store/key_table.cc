#include "registry/store/key_table.h"

#include <algorithm>

#include "base/status.h"
#include "registry/store/transaction_rules.h"

namespace torchfleet::registry {

const Item* KeyTable::Find(const std::string& key) const {
  const auto found = items_.find(key);
  return found == items_.end() ? nullptr : &found->second;
}

absl::Status KeyTable::Check(std::span<const Condition> conditions) const {
  for (const Condition& condition : conditions) {
    const Item* item = Find(condition.key);
    const uint64_t modified = item == nullptr ? 0 : item->modified;
    if (modified != condition.modified) return ConditionFailed(condition, modified);
  }
  return absl::OkStatus();
}

bool KeyTable::Changes(std::span<const Write> writes) const {
  return std::any_of(writes.begin(), writes.end(), [&](const Write& write) {
    return write.value != nullptr || Find(write.key) != nullptr;
  });
}

Item KeyTable::Put(Write write, uint64_t revision) {
  Item& item = items_[write.key];
  if (item.created == 0) {
    item.key = std::move(write.key);
    item.created = revision;
  }
  item.value = std::move(write.value);
  item.modified = revision;
  item.lease = write.lease;
  return item;
}

std::optional<Item> KeyTable::Remove(const std::string& key, uint64_t revision) {
  if (items_.erase(key) == 0) return std::nullopt;
  return Item{.key = key, .created = revision, .modified = revision};
}

void KeyTable::Restore(const std::string& key, std::optional<Item> item) {
  if (item) {
    items_.insert_or_assign(key, *std::move(item));
  } else {
    items_.erase(key);
  }
}

std::vector<Item> KeyTable::Items() const {
  std::vector<Item> items;
  items.reserve(items_.size());
  for (const auto& [key, item] : items_) items.push_back(item);
  return items;
}

}  // namespace torchfleet::registry
