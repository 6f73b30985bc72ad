#include "model-worker/queue/waiting_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

// A row in turns. Whole numbers: what is equal stays equal.
constexpr int64_t kRow = 1 << 20;

// A request without rows takes its turn too.
int64_t RowsOf(const Request& request) { return std::max<int64_t>(request.checked().rows(), 1); }

absl::Status Full(size_t most) {
  return WithRetryDelay(
      absl::UnavailableError(fmt::format("the queue is full: {} requests wait", most)),
      absl::Milliseconds(100));
}

}  // namespace

WaitingLine::WaitingLine(LineRules rules) : rules_(std::move(rules)) {
  for (const LevelRules& level : rules_.levels) lanes_.emplace_back().rules = level;
}

absl::StatusOr<size_t> WaitingLine::LevelOf(const RequestTerms& terms) const {
  if (!rules_.priorities || terms.priority == 0) return rules_.default_level;
  if (terms.priority <= lanes_.size()) return terms.priority - 1;
  return WithBadField(
      absl::InvalidArgumentError(fmt::format(
          "the parameter 'priority' is {}; the model has 1 to {}", terms.priority, lanes_.size())),
      "parameters[priority]");
}

// Who waits all the time loses nothing by what others got meanwhile; who did not
// gains nothing.
int64_t WaitingLine::Caller::NextTurn(int64_t now) const {
  return std::max(next_turn, waits() ? last->place_.turn : now);
}

absl::Status WaitingLine::Add(Request& request, Instant now) {
  const RequestTerms& terms = request.terms();
  ASSIGN_OR_RETURN(const size_t level, LevelOf(terms));
  Lane& lane = lanes_[level];
  if (terms.deadline <= now) {
    return absl::DeadlineExceededError("the deadline passed before the model could run");
  }
  if (size_ >= rules_.most) return Full(rules_.most);
  if (lane.rules.most > 0 && lane.size >= lane.rules.most) return Full(lane.rules.most);
  Request::Place& place = request.place_;
  place = {.level = level, .waits = true, .queued = now, .expires = terms.deadline};
  absl::Duration timeout = lane.rules.timeout;
  // It may wait less than the model says, not more.
  if (lane.rules.own_timeouts && terms.timeout) timeout = std::min(timeout, *terms.timeout);
  if (lane.rules.overdue == LevelRules::Overdue::kReject) {
    place.expires = std::min(place.expires, now + timeout);
  } else {
    place.falls_behind = now + timeout;
  }
  earliest_due_ = std::min({earliest_due_, place.expires, place.falls_behind});
  Insert(request, lane);
  ++size_;
  ++lane.size;
  return absl::OkStatus();
}

void WaitingLine::Insert(Request& request, Lane& lane) {
  Request::Place& place = request.place_;
  if (lane.callers.size() >= lane.most_callers) {
    absl::erase_if(lane.callers, [&](const auto& caller) {
      return !caller.second.waits() && caller.second.next_turn <= lane.turn;
    });
    lane.most_callers = std::max<size_t>(256, 2 * lane.callers.size());
  }
  Caller& caller = lane.callers[CallerOf(request.terms())];
  const int64_t rows = RowsOf(request);
  place.turn = caller.NextTurn(lane.turn);
  if (!caller.waits()) ++lane.waiting;
  caller.next_turn = place.turn + rows * kRow;
  caller.rows += rows;
  lane.fair_rows += rows;
  place.own_before = std::exchange(caller.last, &request);
  if (place.own_before) place.own_before->place_.own_after = &request;
  // From both ends: a caller's first request belongs near the front, others
  // near the end.
  Request* back = lane.fair.last;
  Request* front = lane.fair.first;
  while (back && back->place_.turn > place.turn) {
    if (front->place_.turn > place.turn) return Link(lane.fair, front->place_.before, request);
    front = front->place_.after;
    back = back->place_.before;
  }
  Link(lane.fair, back, request);
}

bool WaitingLine::Remove(Request& request) {
  if (!request.place_.waits) return false;
  Leave(request, false);
  return true;
}

void WaitingLine::Serve(Request& request) { Leave(request, true); }

void WaitingLine::Leave(Request& request, bool served) {
  Request::Place& place = request.place_;
  Lane& lane = lanes_[place.level];
  if (place.late) {
    Unlink(lane.late, request);
    lane.late_rows -= RowsOf(request);
  } else if (served) {
    lane.turn += RowsOf(request) * kRow / static_cast<int64_t>(lane.waiting);
    LeaveFair(request, lane);
  } else {
    GiveBack(request, lane, lane.callers[CallerOf(request.terms())]);
    LeaveFair(request, lane);
  }
  place.waits = false;
  --size_;
  if (--lane.size > 0) return;
  lane.callers.clear();
  lane.turn = 0;
}

void WaitingLine::LeaveFair(Request& request, Lane& lane) {
  Request::Place& place = request.place_;
  Unlink(lane.fair, request);
  Caller& caller = lane.callers[CallerOf(request.terms())];
  const int64_t rows = RowsOf(request);
  caller.rows -= rows;
  lane.fair_rows -= rows;
  if (place.own_before) place.own_before->place_.own_after = place.own_after;
  (place.own_after ? place.own_after->place_.own_before : caller.last) = place.own_before;
  place.own_before = place.own_after = nullptr;
  if (!caller.waits()) --lane.waiting;
  // Nobody who comes now goes before who has waited longest.
  if (lane.fair.first) lane.turn = std::max(lane.turn, lane.fair.first->place_.turn);
}

void WaitingLine::GiveBack(Request& request, Lane& lane, Caller& caller) {
  const int64_t rows = RowsOf(request) * kRow;
  if (lane.waiting == 1 && lane.fair.first == &request) {
    // As if it had been served: there is nobody else to notice.
    lane.turn = std::max(lane.turn, request.place_.turn + rows);
    return;
  }
  // What comes after it moves up by a place, until it is the last itself.
  Request::Place& place = request.place_;
  while (Request* const next = place.own_after) {
    Request* const before = place.before;
    const bool adjacent = place.after == next;
    Request* const hole = next->place_.before;
    Unlink(lane.fair, request);
    Unlink(lane.fair, *next);
    Link(lane.fair, before, *next);
    Link(lane.fair, adjacent ? next : hole, request);
    std::swap(place.turn, next->place_.turn);
    // And among its own.
    next->place_.own_before = place.own_before;
    if (place.own_before) place.own_before->place_.own_after = next;
    place.own_after = next->place_.own_after;
    (place.own_after ? place.own_after->place_.own_before : caller.last) = &request;
    place.own_before = next;
    next->place_.own_after = &request;
  }
  caller.next_turn -= rows;
}

void WaitingLine::FallBehind(Request& request) {
  Lane& lane = lanes_[request.place_.level];
  LeaveFair(request, lane);
  request.place_.late = true;
  request.place_.falls_behind = Instant::Infinite();
  Link(lane.late, lane.late.last, request);
  lane.late_rows += RowsOf(request);
}

void WaitingLine::TakeExpired(Instant now, std::vector<Request*>& expired) {
  if (earliest_due_ > now) return;
  earliest_due_ = Instant::Infinite();
  std::vector<Request*> overdue;
  for (Request* request = First(); request; request = Next(*request)) {
    const Request::Place& place = request->place_;
    if (place.expires <= now) {
      expired.push_back(request);
      overdue.push_back(request);
    } else if (place.falls_behind <= now) {
      overdue.push_back(request);
    }
    if (place.expires > now) earliest_due_ = std::min(earliest_due_, place.expires);
    if (place.falls_behind > now) earliest_due_ = std::min(earliest_due_, place.falls_behind);
  }
  for (Request* const request : overdue) {
    if (request->place_.expires > now) FallBehind(*request);
  }
  // From the end: what leaves unserved moves up who comes after it.
  for (auto request = overdue.rbegin(); request != overdue.rend(); ++request) {
    if ((*request)->place_.expires <= now) Leave(**request, false);
  }
}

void WaitingLine::TakeAll(std::vector<Request*>& all) {
  while (Request* const request = First()) {
    Leave(*request, true);
    all.push_back(request);
  }
}

Request* WaitingLine::First() const {
  for (const Lane& lane : lanes_) {
    if (lane.fair.first) return lane.fair.first;
    if (lane.late.first) return lane.late.first;
  }
  return nullptr;
}

Request* WaitingLine::Next(const Request& request) const {
  const Request::Place& place = request.place_;
  if (place.after) return place.after;
  if (!place.late && lanes_[place.level].late.first) return lanes_[place.level].late.first;
  for (size_t i = place.level + 1; i < lanes_.size(); ++i) {
    if (lanes_[i].fair.first) return lanes_[i].fair.first;
    if (lanes_[i].late.first) return lanes_[i].late.first;
  }
  return nullptr;
}

int64_t WaitingLine::RowsAhead(const RequestTerms& terms) const {
  const size_t level = LevelOf(terms).value_or(rules_.default_level);
  int64_t ahead = 0;
  for (size_t i = 0; i < level; ++i) ahead += lanes_[i].fair_rows + lanes_[i].late_rows;
  const Lane& lane = lanes_[level];
  const auto own = lane.callers.find(CallerOf(terms));
  const bool known = own != lane.callers.end();
  if (lane.waiting <= 1 && (lane.waiting == 0 || (known && own->second.waits()))) {
    return ahead + lane.fair_rows;
  }
  const int64_t turn = known ? own->second.NextTurn(lane.turn) : lane.turn;
  for (const auto& [key, caller] : lane.callers) {
    if (!caller.waits()) continue;
    // Its rows begin one after another, the last just before its next turn.
    const int64_t begun = turn - (caller.next_turn - caller.rows * kRow);
    if (key == CallerOf(terms)) {
      ahead += caller.rows;
    } else if (begun >= 0) {
      ahead += std::min(caller.rows, begun / kRow + 1);
    }
  }
  return ahead;
}

void WaitingLine::Link(List& list, Request* before, Request& request) {
  request.place_.before = before;
  request.place_.after = before ? before->place_.after : list.first;
  (before ? before->place_.after : list.first) = &request;
  Request* const after = request.place_.after;
  (after ? after->place_.before : list.last) = &request;
}

void WaitingLine::Unlink(List& list, Request& request) {
  Request* const before = request.place_.before;
  Request* const after = request.place_.after;
  (before ? before->place_.after : list.first) = after;
  (after ? after->place_.before : list.last) = before;
  request.place_.before = request.place_.after = nullptr;
}

}  // namespace torchfleet::worker
