#pragma once
// How far a worker is: loading, ready, draining. Thread-safe.

#include <atomic>

#include "absl/status/status.h"

namespace torchfleet::worker {

class Readiness {
 public:
  // From here on calls are queued.
  void SetLoaded() { loaded_ = true; }
  // What health says: true once the model is loaded, false when the worker
  // drains. Calls are taken until the worker's open calls are closed.
  void SetReady(bool ready) { ready_ = ready; }

  bool loaded() const { return loaded_.load(std::memory_order_acquire); }
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  // OK, or UNAVAILABLE with what is awaited.
  absl::Status Status() const {
    if (ready()) return absl::OkStatus();
    return absl::UnavailableError(loaded() ? "the worker drains" : "the model is being loaded");
  }

 private:
  std::atomic<bool> loaded_ = false;
  std::atomic<bool> ready_ = false;
};

}  // namespace torchfleet::worker
