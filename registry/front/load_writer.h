#pragma once
// Writes loads to the store seldom: one transaction a second with at most a
// hundred of them. For stores to which each write is dear.
//
// A load whose registration is no longer the worker's is dropped, one that could
// not be written waits for the next time.
//
// Lifecycle: Stop before the store ends. Borrows store and fleet. Thread-safe.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "registry/state/load_batch.h"
#include "registry/watch/fleet.h"

namespace torchfleet::registry {

class LoadWriter {
 public:
  LoadWriter(absl::Duration interval, Store& store, const Fleet& fleet);
  ~LoadWriter();
  void Stop();

  void Put(WaitingLoad load);

 private:
  // Shared with the store's callbacks, which may come after Stop.
  struct Waiting {
    std::mutex mu;
    LoadBatch batch ABSL_GUARDED_BY(mu);
    bool under_way ABSL_GUARDED_BY(mu) = false;
    bool stopping ABSL_GUARDED_BY(mu) = false;
  };

  void Run();
  void Write(std::vector<WaitingLoad> loads);

  const absl::Duration interval_;
  Store& store_;
  const Fleet& fleet_;
  const std::shared_ptr<Waiting> waiting_;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace torchfleet::registry
