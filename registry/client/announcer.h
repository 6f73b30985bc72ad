#pragma once
// Keeps a worker announced at the registry: a lease over one stream.
//
// Registers, renews at a third of the lease's length (with jitter) and at once
// on every change of state, and registers anew on a new stream whenever the
// old one breaks or the registry refuses its epoch. It never gives up and
// never blocks its caller; while the registry is away the worker serves on.
//
// Lifecycle: Start once; Stop (or destruction) leaves, unless Leave was called.
// Thread-safe. Calls `load` on its own thread.

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::registry {

class Announcer {
 public:
  Announcer(const std::string& registry_address, v1::Worker worker, std::function<v1::Load()> load);
  ~Announcer();

  void Start(v1::WorkerState state);
  void SetState(v1::WorkerState state);
  // Registers anew where it describes itself otherwise than before.
  void SetWorker(v1::Worker worker);
  // Waits until the registry has taken note of the state, for `limit` at most;
  // whether it has.
  bool AwaitTold(v1::WorkerState state, absl::Duration limit);
  // Says that it is gone, and why unless it was told to go. Returns when that is
  // said, or after a short time when it cannot be.
  void Leave(const std::string& reason);
  void Stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace torchfleet::registry
