#pragma once
// A value that is replaced whole and read by many.
//
// Readers keep the value they got for as long as they hold the pointer; a
// replacement never changes it under them. Thread-safe: a lock is held for as
// long as a pointer is copied (std::atomic<std::shared_ptr> of libstdc++ 12
// reads what it does not own: its unlock after a load is relaxed).

#include <memory>
#include <mutex>
#include <utility>

#include "absl/base/thread_annotations.h"

namespace torchfleet {

template <typename T>
class Snapshot {
 public:
  Snapshot() : value_(std::make_shared<const T>()) {}
  explicit Snapshot(T value) : value_(std::make_shared<const T>(std::move(value))) {}

  std::shared_ptr<const T> Get() const {
    const std::lock_guard lock(mu_);
    return value_;
  }
  void Set(T value) { Set(std::make_shared<const T>(std::move(value))); }
  // The value that was there ends outside the lock.
  void Set(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mu_);
    value_.swap(value);
  }

 private:
  mutable std::mutex mu_;
  std::shared_ptr<const T> value_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet
