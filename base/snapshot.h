#pragma once
// A value that is replaced whole and read by many.
//
// Readers keep the value they got for as long as they hold the pointer; a
// replacement never changes it under them. Thread-safe: a lock is held for as
// long as a pointer is copied (std::atomic<std::shared_ptr> of libstdc++ 12
// reads what it does not own: its unlock after a load is relaxed).

#include <atomic>
#include <cstdint>
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
  explicit Snapshot(std::shared_ptr<const T> value) : value_(std::move(value)) {}

  std::shared_ptr<const T> Get() const {
    const std::lock_guard lock(mu_);
    return value_;
  }
  void Set(T value) { Set(std::make_shared<const T>(std::move(value))); }
  // The value that was there ends outside the lock.
  void Set(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mu_);
    value_.swap(value);
    generation_.fetch_add(1, std::memory_order_release);
  }
  // Grows with each Set.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  mutable std::mutex mu_;
  std::shared_ptr<const T> value_ ABSL_GUARDED_BY(mu_);
  std::atomic<uint64_t> generation_ = 1;
};

// One thread's view of a Snapshot: takes its lock only after a replacement, and
// gives out pointers whose count no other thread touches.
//
// Borrows the snapshot. Not thread-safe.
template <typename T>
class SnapshotView {
 public:
  explicit SnapshotView(const Snapshot<T>& snapshot) : snapshot_(snapshot) {}

  // Stands until the next call.
  const std::shared_ptr<const T>& Get() {
    // Read first: a value newer than its generation is only fetched once more.
    if (const uint64_t now = snapshot_.generation(); now != generation_) {
      auto shared = std::make_shared<std::shared_ptr<const T>>(snapshot_.Get());
      const T* const value = shared->get();
      value_ = std::shared_ptr<const T>(std::move(shared), value);
      generation_ = now;
    }
    return value_;
  }

 private:
  const Snapshot<T>& snapshot_;
  uint64_t generation_ = 0;
  std::shared_ptr<const T> value_;
};

}  // namespace torchfleet
