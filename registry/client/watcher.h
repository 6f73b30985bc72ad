#pragma once
// Follows the fleet: hands on every WatchResponse in order, and resumes where
// it was after a break; with the next registry where there are several.
//
// After a break it waits for some part of a moment that grows with the fleet:
// a registry that comes back has a snapshot to make for everybody who lost it.
//
// Lifecycle: Start once; Stop (or destruction) returns when no callback runs
// any more. Callbacks come on the watcher's own thread, one at a time.

#include <functional>
#include <memory>
#include <string>

#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::registry {

class Watcher {
 public:
  struct Callbacks {
    // A snapshot or a delta.
    std::function<void(const v1::WatchResponse&)> on_change;
    // The stream is there (true) or has broken (false). Optional.
    std::function<void(bool connected)> on_connection;
  };

  // `registry_addresses`: host:port, or several with commas between.
  Watcher(const std::string& registry_addresses, Callbacks callbacks);
  ~Watcher();

  void Start();
  void Stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace torchfleet::registry
