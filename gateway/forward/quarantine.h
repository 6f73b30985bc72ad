#pragma once
// Requests that kill workers. One that was on its way at two workers when they
// died, and that nobody ever answered in between, is not sent again for a while.
//
// A request is known by a fingerprint of its fields but for its id, so the same
// one from another caller is the same. The death of a worker makes suspects of
// all it was working on; an answer clears them. What is forgotten first is what
// is oldest.
//
// Where three workers of a model die within a second it may well be a machine that
// failed, with a request on all of them that everybody sends. What is in quarantine
// for deaths in such a crowd is doubted: after a second one call with it may go. It
// is answered, and nothing is held against it any more; or its worker dies as well,
// and there is no doubt.
//
// Thread-safe. A lock is taken only when a worker has died under a call, and by
// Ask while something is in quarantine.

#include <atomic>
#include <cstdint>
#include <deque>
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
  // So many deaths in this time are a crowd.
  static constexpr size_t kCrowd = 3;
  static constexpr absl::Duration kTogether = absl::Seconds(1);
  // Until a doubted request may be tried, and again where nothing came of it.
  static constexpr absl::Duration kTrialAfter = absl::Seconds(1);

  // What is to become of a call.
  enum class Verdict : uint8_t {
    kFree,
    // It is not sent: workers died of it, or perhaps of it.
    kHeld,
    kDoubted,
    // It is sent, and shows what is true: Cleared or Died is told of it.
    kTrial,
  };

  struct Entry {
    uint64_t fingerprint = 0;
    std::string model;
    // The addresses of those that died with it, the first one first.
    std::vector<std::string> workers;
    Instant since;
    // Calls that were refused since.
    uint64_t refused = 0;
    bool doubted = false;
  };

  // A worker's process: another one at the same address has another `life`.
  struct Process {
    std::string address;
    uint64_t life = 0;

    bool operator==(const Process&) const = default;
  };

  // `worker` died with the request: kFree, kHeld or kDoubted from now on. The same
  // process dies once only.
  Verdict Died(uint64_t fingerprint, std::string_view model, const Process& worker, Instant now);
  // A worker answered it.
  void Cleared(uint64_t fingerprint);
  // Of a call with it; counts those that are not sent.
  Verdict Ask(uint64_t fingerprint, Instant now);
  // An operator wants it let out; false when it is not in. Nothing is held against
  // it from then on.
  bool Release(uint64_t fingerprint);

  // Whether nothing is in quarantine. Takes no lock.
  bool empty() const { return held_.load(std::memory_order_relaxed) == 0; }
  std::vector<Entry> List(Instant now);

 private:
  struct Suspect {
    Entry entry;
    // Who died of it.
    std::vector<Process> dead = {};
    std::optional<Instant> held = std::nullopt;
    // When it may be tried, if it is doubted.
    std::optional<Instant> trial = std::nullopt;
    bool tried = false;
  };
  struct Death {
    std::string model;
    Process worker;
    Instant at;
  };
  using Suspects = std::list<Suspect>;

  Suspects::iterator Find(uint64_t fingerprint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether that makes a crowd of the model's dead.
  bool NoteDeath(std::string_view model, const Process& worker, Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What came into quarantine with the crowd.
  void Doubt(std::string_view model, Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static Verdict Of(const Suspect& suspect);
  void Expire(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Erase(Suspects::iterator suspect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  std::atomic<size_t> held_ = 0;
  std::mutex mu_;
  // The oldest first.
  Suspects suspects_ ABSL_GUARDED_BY(mu_);
  // Of the last kTogether.
  std::deque<Death> deaths_ ABSL_GUARDED_BY(mu_);
};

}  // namespace torchfleet::gateway
