#pragma once
// The requests that wait for a model, in the order in which they are served.
//
//   level 1: fair order of callers, then those that waited too long
//   level 2: …
//
// Within a level callers get the same number of rows in turn, whoever has more
// requests waiting: start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM
// 1996) with rows as the cost. A caller's own requests keep their order.
//
// A request leaves by Remove, or by TakeExpired when its deadline passes or it
// waited longer than its level allows; where the level says DELAY it falls
// behind the level's others instead.
//
// Pure: time is a value. Not thread-safe; borrows the requests.

#include <cstddef>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "model-worker/queue/line_rules.h"
#include "model-worker/queue/request.h"

namespace torchfleet::worker {

class WaitingLine {
 public:
  explicit WaitingLine(LineRules rules);

  // INVALID_ARGUMENT for a priority that the model has not, DEADLINE_EXCEEDED
  // when it is too late already, UNAVAILABLE with a retry delay when full. The
  // request is then not in here.
  absl::Status Add(Request& request, Instant now);
  // False when it is not in here.
  bool Remove(Request& request);
  // `request` leaves to be served.
  void Serve(Request& request);
  // All that may not wait any longer, appended to `expired`; those that are to
  // fall behind do. Costs nothing while nothing is due.
  void TakeExpired(Instant now, std::vector<Request*>& expired);
  // Everybody, appended.
  void TakeAll(std::vector<Request*>& all);

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // In the order of service; null at the end.
  Request* First() const;
  Request* Next(const Request& request) const;

  // Rows that would be served before a request of these terms.
  int64_t RowsAhead(const RequestTerms& terms, int64_t rows) const;
  static Instant Queued(const Request& request) { return request.place_.queued; }
  // When it leaves by itself: its deadline, or earlier.
  static Instant Expires(const Request& request) { return request.place_.expires; }
  // What Promise said.
  static Instant Promised(const Request& request) { return request.place_.promised; }
  static void Promise(Request& request, Instant when) { request.place_.promised = when; }

 private:
  // A doubly linked list through the requests' places.
  struct List {
    Request* first = nullptr;
    Request* last = nullptr;
  };
  struct Caller {
    // When its next request begins, in rows served to each.
    double next_turn = 0;
    int64_t rows = 0;
  };
  struct Level {
    LevelRules rules;
    List fair, late;
    size_t size = 0;
    int64_t rows = 0;
    // The turn that was served last.
    double turn = 0;
    absl::flat_hash_map<uint64_t, Caller> callers;
  };

  // By the request's priority.
  absl::StatusOr<size_t> LevelOf(const RequestTerms& terms) const;
  void Insert(Request& request, Level& level);
  // Takes it out of its list and the counts.
  void Leave(Request& request);
  void FallBehind(Request& request);

  static void Link(List& list, Request* before, Request& request);
  static void Unlink(List& list, Request& request);

  const LineRules rules_;
  std::vector<Level> levels_;
  size_t size_ = 0;
  // Nothing is due before it.
  Instant earliest_due_ = Instant::Infinite();
};

}  // namespace torchfleet::worker
