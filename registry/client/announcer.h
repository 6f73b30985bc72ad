#pragma once
// Keeps a worker announced at the registry: a lease over one stream.
//
// Registers, renews at a third of the lease's length (with jitter) and at once
// on every change, and registers anew on a new stream whenever the old one breaks
// or the registry refuses its epoch; with the next registry where there are
// several. After a break it waits for some part of a fifth of the lease first, 5 s
// at most: what broke the stream broke others' too. It never gives up and never
// blocks its caller; while the registry is away the worker serves on.
//
// Lifecycle: Start once; Stop (or destruction) leaves, unless Leave or Abandon
// was called. Thread-safe. Calls its callbacks on its own thread.

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::registry {

// What a worker says of how it is.
struct WorkerCondition {
  v1::WorkerState state = v1::WORKER_STATE_STARTING;
  v1::DrainPhase drain_phase = v1::DRAIN_PHASE_UNSPECIFIED;
  // Why it is FAILED, for operators.
  std::string reason = {};

  friend bool operator==(const WorkerCondition&, const WorkerCondition&) = default;
};

class Announcer {
 public:
  struct Callbacks {
    std::function<v1::Load()> load;
    // An operator wants it to drain. May come more than once. Optional.
    std::function<void(const std::string& actor)> on_drain = nullptr;
  };

  // `registry_addresses`: host:port, or several with commas between.
  Announcer(const std::string& registry_addresses, v1::Worker worker, Callbacks callbacks);
  ~Announcer();

  void Start(v1::WorkerState state);
  void SetCondition(WorkerCondition condition);
  // Registers anew where it describes itself otherwise than before.
  void SetWorker(v1::Worker worker);
  // Waits until the registry has taken note of the condition that was set last,
  // for `limit` at most; whether it has.
  bool AwaitTold(absl::Duration limit);
  // Says that it is gone, and why unless it was told to go. Returns when that is
  // said, or after a short time when it cannot be.
  void Leave(const std::string& reason);
  // Ends without a word: what it said last stands.
  void Abandon();
  void Stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace torchfleet::registry
