#pragma once
// Which of the requests that wait could run together now: the first in the order of
// service, and those behind it that fit.
//
// Where requests do not differ in length: all of the same shapes, in order, until
// one does not fit; nobody who comes later goes before it. Where they do: those of
// nearly the first's length, by priority and then nearest first, for as long as no
// more than the part of the batch that may be is padding.
//
// Pure. Used again; borrows the spec, and the requests until the next Make. Not
// thread-safe.

#include <algorithm>
#include <vector>

#include "model-worker/execute/model_spec.h"
#include "model-worker/queue/waiting_line.h"

namespace torchfleet::worker {

class BatchChoice {
 public:
  explicit BatchChoice(const ModelSpec& spec) : spec_(spec) {}

  // `first` is the line's first.
  void Make(const WaitingLine& line, Request& first);
  void Clear() { requests_.clear(); }

  // In the order of service.
  const std::vector<Request*>& requests() const { return requests_; }
  int64_t rows() const { return rows_; }
  // No request that could join fits any more.
  bool full() const { return full_; }
  // What its time grows with.
  double size() const { return static_cast<double>(rows_ * std::max<int64_t>(longest_, 1)); }

  // A request without rows runs like one with.
  static int64_t RowsOf(const Request& request) {
    return std::max<int64_t>(request.checked().rows(), 1);
  }

 private:
  // Requests that are looked at.
  static constexpr size_t kMostLookedAt = 4096;

  void AddEqual(const WaitingLine& line, Request& first);
  void AddNear(const WaitingLine& line, Request& first);
  std::vector<Request*> Near(const WaitingLine& line, Request& first);

  const ModelSpec& spec_;
  std::vector<Request*> requests_;
  int64_t rows_ = 0;
  int64_t longest_ = 0;
  bool full_ = false;
};

}  // namespace torchfleet::worker
