#pragma once
// Requests that kill workers. One that was on its way at two workers when they
// died, and that nobody ever answered in between, is not sent again for a while.
//
// A request is known by a fingerprint of its fields but for its id, so the same
// one from another caller is the same. The death of a worker makes suspects of
// all it was working on; an answer clears them. What is forgotten first is what
// is oldest.
//
// Thread-safe. A lock is taken only when a worker has died under a call, and by
// Holds while something is in quarantine.

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace torchfleet::gateway {

// Of a gRPC body that is one whole request; nothing for what is none.
std::optional<uint64_t> Fingerprint(std::string_view body);

class Quarantine {
 public:
  static constexpr absl::Duration kLasts = absl::Minutes(10);
  static constexpr size_t kMost = 1024;

  struct Entry {
    uint64_t fingerprint = 0;
    std::string model;
    // The addresses of those that died with it, the first one first.
    std::vector<std::string> workers;
    Instant since;
    // Calls that were refused since.
    uint64_t refused = 0;
  };

  // A worker's process: another one at the same address has another `life`.
  struct Process {
    std::string address;
    uint64_t life = 0;

    bool operator==(const Process&) const = default;
  };

  // `worker` died with the request: whether it is in quarantine now. The same
  // process dies once only.
  bool Died(uint64_t fingerprint, std::string_view model, const Process& worker, Instant now);
  // A worker answered it.
  void Cleared(uint64_t fingerprint);
  // Whether a call with it is to be refused; counts it.
  bool Holds(uint64_t fingerprint, Instant now);
  // An operator wants it let out; false when it is not in. Nothing is held against
  // it from then on.
  bool Release(uint64_t fingerprint);

  // Whether nothing is in quarantine. Takes no lock.
  bool empty() const { return held_.load(std::memory_order_relaxed) == 0; }
  std::vector<Entry> List(Instant now);

 private:
  struct Suspect {
    Entry entry;
    // Who died of it first.
    Process worker;
    bool held = false;
  };
  using Suspects = std::list<Suspect>;

  Suspects::iterator Find(uint64_t fingerprint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Expire(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Erase(Suspects::iterator suspect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  std::atomic<size_t> held_ = 0;
  std::mutex mu_;
  // The oldest first.
  Suspects suspects_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::gateway
