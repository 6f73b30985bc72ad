#pragma once
// Requests that wait for an executor, first come first served.
//
// Bounded. A request whose deadline has passed is never handed out: it is
// answered DEADLINE_EXCEEDED when its turn would have come, or when its place
// is needed. It leaves earlier by Remove, when its caller cancels.
//
// Lifecycle: Close answers what waits with UNAVAILABLE and wakes everyone in
// Pop. Borrows the clock, and each request until it is answered or removed. Thread-safe; answers
// requests without holding its lock.

#include <condition_variable>
#include <list>
#include <mutex>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "model-worker/queue/request.h"

namespace torchfleet::worker {

class RequestQueue {
 public:
  struct Entry {
    Request* request = nullptr;
    Instant queued;
  };
  // How many requests left without running, by reason.
  struct Figures {
    size_t depth = 0;
    uint64_t rejected = 0, expired = 0, cancelled = 0;
  };

  RequestQueue(size_t capacity, const Clock& clock) : capacity_(capacity), clock_(clock) {}

  // UNAVAILABLE with a retry delay when full or closed, DEADLINE_EXCEEDED when
  // it is too late already; the request is then not taken, and not answered.
  absl::Status Push(Request& request);
  // The next request that is still wanted; waits for one. Nothing once closed.
  Entry Pop();
  // Takes a request out that nobody waits for any more; false when it is not
  // in here (any more). The caller answers it. It counts as expired where its
  // deadline has passed, as cancelled otherwise.
  bool Remove(const Request* request);
  void Close();

  Figures figures() const;

 private:
  // Takes out what has expired, to be answered without the lock.
  std::list<Entry> TakeExpired(Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t capacity_;
  const Clock& clock_;
  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::list<Entry> waiting_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<const Request*, std::list<Entry>::iterator> places_ ABSL_GUARDED_BY(mu_);
  Figures figures_ ABSL_GUARDED_BY(mu_);
  // No deadline of those that wait is before it.
  Instant earliest_deadline_ ABSL_GUARDED_BY(mu_) = Instant::Infinite();
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace torchfleet::worker
