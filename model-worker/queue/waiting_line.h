#pragma once
// The requests that wait for a model, in the order in which they are served.
//
//   level 1: fair order of callers, then those that waited too long
//   level 2: …
//
// Within a level callers get the same number of rows in turn, whoever has more
// requests waiting: start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM
// 1996) with rows as the cost. The level's turn goes on with each row served by
// the part of one caller, so that ever new callers do not keep old ones waiting;
// what leaves unserved gives its turn back. A caller's own requests keep their
// order. A request without rows costs one.
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

  // INVALID_ARGUMENT for a priority that the model has not.
  absl::Status Check(const RequestTerms& terms) const { return LevelOf(terms).status(); }
  // Rows that would be served before a request of these terms. Exact where each
  // request has one row; else right to a request of each caller.
  int64_t RowsAhead(const RequestTerms& terms) const;
  // From 0, the highest priority's.
  static size_t Level(const Request& request) { return request.place_.level; }
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
    int64_t next_turn = 0;
    // Of its requests in the fair order; the last of them.
    int64_t rows = 0;
    Request* last = nullptr;

    bool waits() const { return last != nullptr; }
    int64_t NextTurn(int64_t now) const;
  };
  struct Lane {
    LevelRules rules;
    List fair, late;
    size_t size = 0;
    int64_t fair_rows = 0, late_rows = 0;
    // Rows served to each who waits, in the fair order.
    int64_t turn = 0;
    absl::flat_hash_map<uint64_t, Caller> callers;
    // Those of them who wait, and how many are remembered before those whose
    // turn has come anyway are forgotten.
    size_t waiting = 0;
    size_t most_callers = 256;
  };

  // By the request's priority.
  absl::StatusOr<size_t> LevelOf(const RequestTerms& terms) const;
  uint64_t CallerOf(const RequestTerms& terms) const { return rules_.in_order ? 0 : terms.caller; }
  void Insert(Request& request, Lane& lane);
  // Gives its turn, and each one's before, to the caller's next.
  void GiveBack(Request& request, Lane& lane, Caller& caller);
  // Takes it out of its list and the counts.
  void Leave(Request& request, bool served);
  void LeaveFair(Request& request, Lane& lane);
  void FallBehind(Request& request);

  static void Link(List& list, Request* before, Request& request);
  static void Unlink(List& list, Request& request);

  const LineRules rules_;
  std::vector<Lane> lanes_;
  size_t size_ = 0;
  // Nothing is due before it.
  Instant earliest_due_ = Instant::Infinite();
};

}  // namespace torchfleet::worker
