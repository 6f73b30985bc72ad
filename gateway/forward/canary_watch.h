#pragma once
// Has the canaries of all routes judged several times a second, by the calls that
// this gateway forwards, and tells the registry what comes of it.
//
// A verdict is a change of the route in the catalogue that demands the revision it
// was made from: of several gateways the first one's counts, and the others go by
// the news of it as by any change. While the registry is away a trial stands where
// it is.
//
// Lifecycle: Start once; Stop (or destruction) gives up a change under way. Borrows
// all it reads. Judges and writes on a thread of its own.

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/snapshot.h"
#include "gateway/forward/trial_calls.h"
#include "gateway/route/canary_trial.h"
#include "registry/client/registry_channel.h"

namespace grpc {
class ClientContext;
}

namespace torchfleet::gateway {

class CanaryWatch {
 public:
  static constexpr absl::Duration kEvery = absl::Milliseconds(200);
  // How long the registry may take, and how long until it is asked again while
  // nothing is heard of the route.
  static constexpr absl::Duration kPatience = absl::Seconds(2);
  static constexpr absl::Duration kPause = absl::Seconds(1);

  // `actor`: who changes the routes, for the audit trail.
  CanaryWatch(const std::string& registry_addresses, std::string actor, const TrialTable& trials,
              const Clock& clock);
  ~CanaryWatch();

  void Start();
  void Stop();

 private:
  // What is remembered of a trial.
  struct Watched {
    std::shared_ptr<TrialCalls> calls = nullptr;
    CanaryTrial trial = {};
    // What was changed last, and until when nothing is changed of it again.
    std::shared_ptr<const registry::v1::Route> changed = nullptr;
    Instant until = {};
  };
  // The model that callers write, and the rule.
  using TrialKey = std::pair<std::string, int>;

  void Run();
  void JudgeAll();
  void Judge(const Trial& trial, Watched& watched);
  absl::Status Tell(const Trial& trial, const CanaryJudgement& judgement);

  const std::string actor_;
  const Clock& clock_;

  std::mutex mu_;
  std::condition_variable changed_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* under_way_ ABSL_GUARDED_BY(mu_) = nullptr;

  // Only on the thread.
  SnapshotView<TrialTable::Table> table_;
  registry::RegistryChannel registry_;
  std::map<TrialKey, Watched> watched_;
  std::thread thread_;
};

}  // namespace torchfleet::gateway
