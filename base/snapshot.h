#pragma once
// A value that one thread replaces whole and many read without waiting.
//
// Readers keep the value they got for as long as they hold the pointer; a
// replacement never changes it under them. Thread-safe.

#include <atomic>
#include <memory>
#include <utility>

namespace torchfleet {

template <typename T>
class Snapshot {
 public:
  Snapshot() : value_(std::make_shared<const T>()) {}
  explicit Snapshot(T value) : value_(std::make_shared<const T>(std::move(value))) {}

  std::shared_ptr<const T> Get() const { return value_.load(std::memory_order_acquire); }
  void Set(T value) { Set(std::make_shared<const T>(std::move(value))); }
  void Set(std::shared_ptr<const T> value) {
    value_.store(std::move(value), std::memory_order_release);
  }

 private:
  std::atomic<std::shared_ptr<const T>> value_;
};

}  // namespace torchfleet
