#pragma once
// One thread of a load: begins its share of the calls and keeps count of them.
//
//   closed loop: so many in flight; another begins when one has ended
//   open loop:   one begins at each arrival, however many are in flight
//
// A call's latency runs from the moment it was to begin, so a server that stalls
// is charged for all who would have come meanwhile (no coordinated omission).
// Calls that were to begin during the warm-up are not counted.
//
// Lifecycle: Create ─► Start ─► (Stop) ─► Join, after which tally() is whole.
// Start, Join and tally are for one thread; Stop is for any.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "cli/load/answer_check.h"
#include "cli/load/arrivals.h"
#include "cli/load/caller.h"
#include "cli/load/load_progress.h"
#include "cli/load/load_tally.h"
#include "cli/load/pacer.h"
#include "cli/load/request_order.h"
#include "net/loop/loop.h"

namespace torchfleet::cli {

// What one thread does.
struct LoadShare {
  // Null for a closed loop.
  std::unique_ptr<Arrivals> arrivals;
  // Calls in flight: always, or at most.
  uint32_t in_flight = 1;
  absl::Duration warm_up;
  // After the warm-up; infinite where `calls` or the arrivals say when to end.
  absl::Duration duration = absl::InfiniteDuration();
  // So many that count; none for as many as there is time for.
  std::optional<uint64_t> calls;
  // How many requests there are to take turns.
  size_t requests = 1;
  // Given: they come in random order.
  std::optional<uint64_t> shuffle_seed;
  // Not null: calls have ids, and answers are held against one another.
  const AnswerCheck* check = nullptr;
  // Not null: told ten times a second.
  LoadProgress* progress = nullptr;
  // Begins the ids.
  std::string id_prefix;
};

class LoadThread final : private Caller::Owner {
 public:
  using MakeCaller = std::function<std::unique_ptr<Caller>(net::Loop&, Caller::Owner&)>;

  // RESOURCE_EXHAUSTED without file descriptors.
  static absl::StatusOr<std::unique_ptr<LoadThread>> Create(LoadShare share,
                                                            const MakeCaller& make_caller);
  ~LoadThread();

  void Start();
  // No more calls begin; those in flight are waited for.
  void Stop();
  void Join() { thread_.join(); }
  const LoadTally& tally() const { return tally_; }

 private:
  // A place for a call.
  struct Place {
    Instant begin;  // when it was to
    bool counted = false;
    size_t request = 0;
    std::string id;
  };

  LoadThread(LoadShare share, std::unique_ptr<net::Loop> loop);

  void Run();
  void BeginAll();
  void BeginDue();
  void BeginAgain();
  void Begin(uint32_t call, Instant at);
  // Whether a call may; it is noted when there is no time for one.
  bool MayBegin(Instant at);
  void OnEnd(uint32_t call, const CallEnd& end) override;
  CallEnd Checked(const Place& place, const CallEnd& end);
  void Count(const Place& place, const CallEnd& end, Instant now);
  void TellProgress();
  void StopWhenDone();

  LoadShare share_;
  RequestOrder order_;
  const MonotonicClock clock_;
  const std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<Caller> caller_;
  std::unique_ptr<Pacer> pacer_;
  net::Timer again_;
  net::Timer tick_;
  std::thread thread_;

  Instant begin_;
  bool stopping_ = false;
  bool time_is_up_ = false;
  std::optional<absl::Duration> next_;  // arrival
  std::vector<Place> places_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> paused_;  // places of a closed loop that wait for again_
  int64_t in_flight_ = 0;
  uint64_t counted_ = 0;
  std::vector<std::optional<CheckedAnswer>> first_answers_;  // by request
  LoadTally tally_;

  Histogram interval_;
  uint64_t interval_failed_ = 0;
  int64_t told_in_flight_ = 0;
};

}  // namespace torchfleet::cli
