#pragma once
// Follows the fleet: hands on every WatchResponse in order, and resumes where
// it was after a break.
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

  Watcher(const std::string& registry_address, Callbacks callbacks);
  ~Watcher();

  void Start();
  void Stop();

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace torchfleet::registry
