#pragma once
// Where requests wait, and where batches of them come from.
//
//   Push ─► WaitingLine ─► DecideBatch ─► Take, TakeHere ─► run ─► Done ─► answers
//             └── Remove: the caller is gone    └── too late: answered here
//
// At most `instances` batches run at once. An executor's thread waits for one in
// Take. A loop that has pushed asks TakeHere when its turn ends, and runs what it
// gets itself, which spares two changes of thread and what they displace from the
// caches: every short batch where the process has a core to itself, as nothing
// could run beside it; on more cores a single short request that finds all idle.
// Else TakeHere wakes an executor.
//
// A request that could not be done by its deadline, as batches have taken of
// late, is refused: UNAVAILABLE, with the time after which there is room. Now and
// then one is let through, as what is known of the model may be long untrue.
//
// Lifecycle: Close answers what waits with UNAVAILABLE and ends Take. Borrows the
// clock, and each request until it is answered or removed. Thread-safe; answers
// requests without holding its lock.

#include <condition_variable>
#include <mutex>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "model-worker/batch/arrival_rate.h"
#include "model-worker/batch/batch.h"
#include "model-worker/batch/batch_choice.h"
#include "model-worker/batch/batch_policy.h"
#include "model-worker/batch/service_time.h"
#include "model-worker/queue/queue_statistics.h"
#include "model-worker/queue/waiting_line.h"

namespace torchfleet::worker {

class Scheduler {
 public:
  struct Figures {
    // Requests that wait, and batches that run.
    size_t depth = 0;
    int running = 0;
  };
  // What a loop is to do.
  struct Turn {
    // Run the batch, and ask again.
    bool taken = false;
    // Ask again then.
    Instant until = Instant::Infinite();
    // An executor computes on the only core there is.
    bool core_is_taken = false;
  };

  // `cores`: that this process may use.
  Scheduler(const ModelSpec& spec, int cores, QueueStatistics& statistics, const Clock& clock);

  // UNAVAILABLE with a retry delay when full or closed or when it could not be
  // done in time, DEADLINE_EXCEEDED when it is too late already; the request is
  // then not taken, and not answered. Followed by TakeHere, before the thread
  // waits for anything.
  absl::Status Push(Request& request);
  // Takes a request out that nobody waits for any more; false when it is not
  // in here (any more). The caller answers it. It counts as expired where its
  // time has passed, as cancelled otherwise.
  bool Remove(Request& request);

  // The next batch, for a thread that does nothing else; waits for one. False
  // once closed.
  bool Take(Batch& batch);
  // For a loop's thread; never waits.
  Turn TakeHere(Batch& batch);
  // A batch that was taken is over, before its requests are answered. `took`:
  // nothing when it failed.
  void Done(const Batch& batch, std::optional<absl::Duration> took);

  // Hardly a request comes any more, so none waits for others, and executors run
  // what is left: loops need not ask.
  void Hurry();
  // The process may use as many cores from now on.
  void SetCores(int cores);
  void Close();

  Figures figures() const;

 private:
  // What is to be answered without the lock.
  struct Departed {
    std::vector<Request*> expired, hopeless;
    bool any() const { return !expired.empty() || !hopeless.empty(); }
  };

  // Fills chosen_; what cannot be served any more goes to departed_.
  BatchDecision Decide(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The same, once nobody is left to be answered without the lock, as of `now`.
  BatchDecision DecideNow(std::unique_lock<std::mutex>& lock, Instant& now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  BatchChance Chance(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The first request that can still be done in time.
  Request* FirstInTime(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // `request` is done, or would be, by then.
  void LearnStretch(const Request& request, Instant done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes those out of what is chosen that would be too late with it; whether
  // there were any.
  bool DropLate(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether it is for a loop to run what is chosen.
  bool ForLoop() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether a loop may.
  bool ForAnyLoop() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Serve(int64_t rows, Batch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WakeExecutor() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Sleep(std::unique_lock<std::mutex>& lock, Instant until, Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Answers `departed` and leaves it empty.
  void Answer(Departed& departed, Instant now);
  // How long until `request`, were it pushed now, is done.
  absl::Duration Outlook(const Request& request, Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // When it was thought to be done; Infinite where nothing was thought.
  // UNAVAILABLE where that is too late.
  absl::StatusOr<Instant> Promise(const Request& request, Instant now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether to let one through that would be refused.
  bool IsProbe(bool idle, Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Add(Request& request, Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ModelSpec& spec_;
  const BatchRules& rules_;
  const int slots_;
  QueueStatistics& statistics_;
  const Clock& clock_;

  mutable std::mutex mu_;
  std::condition_variable changed_;
  WaitingLine line_ ABSL_GUARDED_BY(mu_);
  ServiceTime service_ ABSL_GUARDED_BY(mu_);
  ArrivalRate rate_ ABSL_GUARDED_BY(mu_);
  BatchChoice chosen_ ABSL_GUARDED_BY(mu_);
  Departed departed_ ABSL_GUARDED_BY(mu_);
  int running_ ABSL_GUARDED_BY(mu_) = 0;
  int cores_ ABSL_GUARDED_BY(mu_);
  // When what runs is expected to be over.
  Instant runs_until_ ABSL_GUARDED_BY(mu_);
  // Executors that wait, those of them that are being woken, and when the one
  // that waits with a limit wakes by itself.
  int sleeping_ ABSL_GUARDED_BY(mu_) = 0;
  int waking_ ABSL_GUARDED_BY(mu_) = 0;
  Instant wakes_at_ ABSL_GUARDED_BY(mu_) = Instant::Infinite();
  // What requests took over what their outlook was, and how far from it.
  double stretch_ ABSL_GUARDED_BY(mu_) = 1;
  double stretch_error_ ABSL_GUARDED_BY(mu_) = 0;
  // How many were refused for it, and when one was let through nevertheless.
  uint64_t refused_ ABSL_GUARDED_BY(mu_) = 0;
  Instant probed_ ABSL_GUARDED_BY(mu_);
  // A loop has left what waits to executors: that it has become short since is
  // no reason to wait for a loop.
  bool handed_over_ ABSL_GUARDED_BY(mu_) = false;
  bool hurry_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace torchfleet::worker
