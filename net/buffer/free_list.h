#pragma once
// Objects that are used again: one is made only when none is free.
//
// Owns them all, those in use too. Not thread-safe.

#include <memory>
#include <vector>

namespace torchfleet::net {

template <typename T>
class FreeList {
 public:
  // `arguments` are for its constructor, where one is to be made.
  template <typename... Arguments>
  T& Take(Arguments&... arguments) {
    if (free_.empty()) {
      all_.push_back(std::make_unique<T>(arguments...));
      return *all_.back();
    }
    T* const taken = free_.back();
    free_.pop_back();
    return *taken;
  }
  // As Take gave it.
  void Give(T& object) { free_.push_back(&object); }

 private:
  std::vector<std::unique_ptr<T>> all_;
  std::vector<T*> free_;
};

}  // namespace torchfleet::net
