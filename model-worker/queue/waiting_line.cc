#include "model-worker/queue/waiting_line.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

// Callers whose turns are remembered though none of their requests waits.
constexpr size_t kMostCallers = 4096;

absl::Status Full(size_t most) {
  return WithRetryDelay(
      absl::UnavailableError(fmt::format("the queue is full: {} requests wait", most)),
      absl::Milliseconds(100));
}

}  // namespace

WaitingLine::WaitingLine(LineRules rules) : rules_(std::move(rules)) {
  for (const LevelRules& level : rules_.levels) levels_.emplace_back().rules = level;
}

absl::StatusOr<size_t> WaitingLine::LevelOf(const RequestTerms& terms) const {
  if (!rules_.priorities || terms.priority == 0) return rules_.default_level;
  if (terms.priority <= levels_.size()) return terms.priority - 1;
  return WithBadField(
      absl::InvalidArgumentError(fmt::format(
          "the parameter 'priority' is {}; the model has 1 to {}", terms.priority, levels_.size())),
      "parameters[priority]");
}

absl::Status WaitingLine::Add(Request& request, Instant now) {
  const RequestTerms& terms = request.terms();
  ASSIGN_OR_RETURN(const size_t index, LevelOf(terms));
  Level& level = levels_[index];
  if (terms.deadline <= now) {
    return absl::DeadlineExceededError("the deadline passed before the model could run");
  }
  if (size_ >= rules_.most) return Full(rules_.most);
  if (level.rules.most > 0 && level.size >= level.rules.most) return Full(level.rules.most);
  Request::Place& place = request.place_;
  place = {.level = index, .waits = true, .queued = now, .expires = terms.deadline};
  absl::Duration timeout = level.rules.timeout;
  if (level.rules.own_timeouts && terms.timeout) timeout = *terms.timeout;
  if (level.rules.overdue == LevelRules::Overdue::kReject) {
    place.expires = std::min(place.expires, now + timeout);
  } else {
    place.falls_behind = now + timeout;
  }
  earliest_due_ = std::min({earliest_due_, place.expires, place.falls_behind});
  Insert(request, level);
  ++size_;
  ++level.size;
  level.rows += request.checked().rows();
  return absl::OkStatus();
}

void WaitingLine::Insert(Request& request, Level& level) {
  Request::Place& place = request.place_;
  const int64_t rows = request.checked().rows();
  if (level.callers.size() >= kMostCallers) {
    absl::erase_if(level.callers, [&](const auto& caller) {
      return caller.second.rows == 0 && caller.second.next_turn <= level.turn;
    });
  }
  Caller& caller = level.callers[rules_.in_order ? 0 : request.terms().caller];
  place.turn = std::max(level.turn, caller.next_turn);
  caller.next_turn = place.turn + static_cast<double>(std::max<int64_t>(rows, 1));
  caller.rows += rows;
  // From both ends: a caller's first request belongs near the front, others
  // near the end.
  Request* back = level.fair.last;
  Request* front = level.fair.first;
  while (back && back->place_.turn > place.turn) {
    if (front->place_.turn > place.turn) return Link(level.fair, front->place_.before, request);
    front = front->place_.after;
    back = back->place_.before;
  }
  Link(level.fair, back, request);
}

bool WaitingLine::Remove(Request& request) {
  if (!request.place_.waits) return false;
  Leave(request);
  return true;
}

void WaitingLine::Serve(Request& request) {
  Level& level = levels_[request.place_.level];
  level.turn = std::max(level.turn, request.place_.turn);
  Leave(request);
}

void WaitingLine::Leave(Request& request) {
  Request::Place& place = request.place_;
  Level& level = levels_[place.level];
  Unlink(place.late ? level.late : level.fair, request);
  place.waits = false;
  --size_;
  --level.size;
  const int64_t rows = request.checked().rows();
  level.rows -= rows;
  level.callers[rules_.in_order ? 0 : request.terms().caller].rows -= rows;
  if (level.size > 0) return;
  level.callers.clear();
  level.turn = 0;
}

void WaitingLine::FallBehind(Request& request) {
  Level& level = levels_[request.place_.level];
  Unlink(level.fair, request);
  request.place_.late = true;
  request.place_.falls_behind = Instant::Infinite();
  Link(level.late, level.late.last, request);
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
    if (request->place_.expires <= now) {
      Leave(*request);
    } else {
      FallBehind(*request);
    }
  }
}

void WaitingLine::TakeAll(std::vector<Request*>& all) {
  while (Request* const request = First()) {
    Leave(*request);
    all.push_back(request);
  }
}

Request* WaitingLine::First() const {
  for (const Level& level : levels_) {
    if (level.fair.first) return level.fair.first;
    if (level.late.first) return level.late.first;
  }
  return nullptr;
}

Request* WaitingLine::Next(const Request& request) const {
  const Request::Place& place = request.place_;
  if (place.after) return place.after;
  if (!place.late && levels_[place.level].late.first) return levels_[place.level].late.first;
  for (size_t i = place.level + 1; i < levels_.size(); ++i) {
    if (levels_[i].fair.first) return levels_[i].fair.first;
    if (levels_[i].late.first) return levels_[i].late.first;
  }
  return nullptr;
}

int64_t WaitingLine::RowsAhead(const RequestTerms& terms, int64_t rows) const {
  const size_t index = LevelOf(terms).value_or(rules_.default_level);
  int64_t ahead = 0;
  for (size_t i = 0; i < index; ++i) ahead += levels_[i].rows;
  const Level& level = levels_[index];
  if (rules_.in_order || level.callers.size() <= 1) return ahead + level.rows;
  // In turn: of each other caller no more than this one has.
  const auto own = level.callers.find(terms.caller);
  const int64_t ours = own == level.callers.end() ? 0 : own->second.rows;
  for (const auto& [key, caller] : level.callers) {
    ahead += key == terms.caller ? caller.rows : std::min(caller.rows, ours + rows);
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
