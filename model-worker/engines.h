#pragma once
// The engines of a worker: the one that serves, and those that still finish what
// they have. Each ends when its last holder lets go, whoever that is, but on a
// thread of this class: neither a loop nor a caller waits while executors are
// joined and weights are given back.
//
// Lifecycle: ends after every engine has been let go of. Thread-safe.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "model-worker/engine.h"

namespace torchfleet::worker {

class Engines {
 public:
  Engines(size_t queue_size, const Engine::Shared& shared);
  ~Engines();

  std::shared_ptr<Engine> Make(RepositoryModel model);
  // What waits in any of them is answered with UNAVAILABLE; nothing more is taken.
  void Close();

 private:
  void LetGo(Engine* engine);
  void EndThem();

  const size_t queue_size_;
  const Engine::Shared shared_;
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::weak_ptr<Engine>> made_ ABSL_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<Engine>> let_go_ ABSL_GUARDED_BY(mu_);
  // That have not ended.
  int left_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace torchfleet::worker
