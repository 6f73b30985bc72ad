#pragma once
// Named values in the order in which they changed last, those that are gone
// among them: what changed after a revision is at the end, each once, however
// often it changed. Pure.
//
//   (unknown) ──Change──► here ──Change──► here
//                          │ ▲
//                  Remove  ▼ │  Change
//                         gone ──the oldest of too many──► (unknown)
//
// Whoever has a revision before `compacted` may have values that were forgotten
// as gone, and must begin anew. References to entries hold until the entry is
// forgotten. Not thread-safe.

#include <algorithm>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>

namespace torchfleet::registry {

template <typename T>
class ChangeOrder {
 public:
  struct Entry {
    T value = {};
    bool here = false;
    uint64_t changed = 0;

   private:
    friend ChangeOrder;
    typename std::list<typename std::map<std::string, Entry, std::less<>>::iterator>::iterator
        place;
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  explicit ChangeOrder(size_t most_gone) : most_gone_(most_gone) {}
  // Entries know their places in the lists of this object.
  ChangeOrder(const ChangeOrder&) = delete;
  ChangeOrder& operator=(const ChangeOrder&) = delete;

  // What is here; nothing when it is not, or gone.
  T* Find(std::string_view name) {
    const auto found = entries_.find(name);
    return found == entries_.end() || !found->second.here ? nullptr : &found->second.value;
  }
  const T* Find(std::string_view name) const { return const_cast<ChangeOrder*>(this)->Find(name); }

  // It is here now and changed at `revision`. What was kept of one that was
  // gone is still in it.
  T& Change(std::string_view name, uint64_t revision) {
    auto found = entries_.find(name);
    if (found == entries_.end()) {
      found = entries_.emplace(std::string(name), Entry{}).first;
      found->second.place = here_.insert(here_.end(), found);
    } else {
      auto& from = found->second.here ? here_ : gone_;
      here_.splice(here_.end(), from, found->second.place);
    }
    found->second.here = true;
    found->second.changed = revision;
    return found->second.value;
  }

  // It is gone; nothing when it was not here.
  void Remove(std::string_view name, uint64_t revision) {
    const auto found = entries_.find(name);
    if (found == entries_.end() || !found->second.here) return;
    gone_.splice(gone_.end(), here_, found->second.place);
    found->second.here = false;
    found->second.changed = revision;
    if (gone_.size() <= most_gone_) return;
    compacted_ = std::max(compacted_, gone_.front()->second.changed);
    entries_.erase(gone_.front());
    gone_.pop_front();
  }

  // Calls f(name, entry) for what changed after `revision`, the latest first,
  // and then for what went after it.
  template <typename F>
  void ForEachSince(uint64_t revision, F f) const {
    for (const auto* order : {&here_, &gone_}) {
      for (auto at = order->rbegin(); at != order->rend(); ++at) {
        if ((*at)->second.changed <= revision) break;
        f((*at)->first, (*at)->second);
      }
    }
  }

  // Calls f(name, value) for what is here, sorted.
  template <typename F>
  void ForEach(F f) const {
    for (const auto& [name, entry] : entries_) {
      if (entry.here) f(name, entry.value);
    }
  }

  size_t size() const { return here_.size(); }
  uint64_t compacted() const { return compacted_; }

  // Forgets everything.
  void Clear() {
    entries_.clear();
    here_.clear();
    gone_.clear();
    compacted_ = 0;
  }

 private:
  const size_t most_gone_;
  Entries entries_;
  // Each in the order of `changed`.
  std::list<typename Entries::iterator> here_;
  std::list<typename Entries::iterator> gone_;
  uint64_t compacted_ = 0;
};

}  // namespace torchfleet::registry
