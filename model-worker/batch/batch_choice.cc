#include "model-worker/batch/batch_choice.h"

#include <cstdlib>
#include <utility>

#include "model-worker/batch/batch.h"

namespace torchfleet::worker {

void BatchChoice::Make(const WaitingLine& line, Request& first) {
  requests_.assign(1, &first);
  rows_ = RowsOf(first);
  longest_ = first.checked().length;
  full_ = false;
  if (spec_.batching.most <= 1) {
    full_ = true;
  } else if (spec_.lengths.any()) {
    AddNear(line, first);
  } else {
    AddEqual(line, first);
  }
}

void BatchChoice::AddEqual(const WaitingLine& line, Request& first) {
  size_t looked_at = 0;
  for (Request* next = line.Next(first); next && ++looked_at < kMostLookedAt;
       next = line.Next(*next)) {
    if (!CanShare(spec_, first.checked(), next->checked())) {
      full_ = spec_.line.in_order;
      if (full_) return;
      continue;
    }
    full_ = rows_ + RowsOf(*next) > spec_.batching.most;
    if (full_) return;
    requests_.push_back(next);
    rows_ += RowsOf(*next);
  }
}

std::vector<Request*> BatchChoice::Near(const WaitingLine& line, Request& first) {
  const bool in_order = spec_.line.in_order;
  std::vector<Request*> near;
  size_t looked_at = 0;
  for (Request* next = line.Next(first); next && ++looked_at < kMostLookedAt;
       next = line.Next(*next)) {
    if (CanShare(spec_, first.checked(), next->checked())) {
      near.push_back(next);
    } else if (in_order) {
      full_ = true;
      break;
    }
  }
  if (in_order) return near;
  const int64_t length = first.checked().length;
  const auto rank = [length](const Request* r) {
    return std::pair(WaitingLine::Level(*r), std::abs(r->checked().length - length));
  };
  std::stable_sort(near.begin(), near.end(),
                   [&](const Request* a, const Request* b) { return rank(a) < rank(b); });
  return near;
}

void BatchChoice::AddNear(const WaitingLine& line, Request& first) {
  int64_t own = rows_ * longest_;
  for (Request* const next : Near(line, first)) {
    const int64_t rows = rows_ + RowsOf(*next);
    const int64_t longest = std::max(longest_, next->checked().length);
    const int64_t with_own = own + RowsOf(*next) * next->checked().length;
    const auto all = static_cast<double>(rows * longest);
    const bool too_far = all - static_cast<double>(with_own) > spec_.lengths.most_padding * all;
    if (rows > spec_.batching.most || (too_far && spec_.line.in_order)) {
      full_ = true;
      return;
    }
    if (too_far) continue;
    requests_.push_back(next);
    rows_ = rows;
    longest_ = longest;
    own = with_own;
  }
}

}  // namespace torchfleet::worker
