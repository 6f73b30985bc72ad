#include "model-worker/queue/request_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

absl::Status Expired() {
  return absl::DeadlineExceededError("the deadline passed before the model could run");
}

absl::Status Closed() {
  return WithRetryDelay(absl::UnavailableError("this worker takes no more requests"),
                        absl::Milliseconds(100));
}

}  // namespace

std::list<RequestQueue::Entry> RequestQueue::TakeExpired(Instant now) {
  std::list<Entry> expired;
  if (earliest_deadline_ > now) return expired;
  earliest_deadline_ = Instant::Infinite();
  for (auto entry = waiting_.begin(); entry != waiting_.end();) {
    const auto next = std::next(entry);
    const Instant deadline = entry->request->deadline();
    if (deadline <= now) {
      places_.erase(entry->request);
      expired.splice(expired.end(), waiting_, entry);
    } else {
      earliest_deadline_ = std::min(earliest_deadline_, deadline);
    }
    entry = next;
  }
  figures_.expired += expired.size();
  return expired;
}

absl::Status RequestQueue::Push(Request& request) {
  const Instant now = clock_.Now();
  std::list<Entry> expired;
  {
    const std::lock_guard lock(mu_);
    if (closed_) return Closed();
    if (request.deadline() <= now) {
      ++figures_.expired;
      return Expired();
    }
    if (waiting_.size() >= capacity_) expired = TakeExpired(now);
    if (waiting_.size() >= capacity_) {
      ++figures_.rejected;
      return WithRetryDelay(
          absl::UnavailableError(fmt::format("the queue is full: {} requests wait", capacity_)),
          absl::Milliseconds(100));
    }
    earliest_deadline_ = std::min(earliest_deadline_, request.deadline());
    places_[&request] = waiting_.insert(waiting_.end(), {&request, now});
  }
  changed_.notify_one();
  for (const Entry& entry : expired) entry.request->Answer(Expired(), {entry.queued, now, now});
  return absl::OkStatus();
}

RequestQueue::Entry RequestQueue::Pop() {
  std::unique_lock lock(mu_);
  while (true) {
    changed_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
    if (waiting_.empty()) return {};
    Entry entry = std::move(waiting_.front());
    waiting_.pop_front();
    places_.erase(entry.request);
    const Instant now = clock_.Now();
    if (entry.request->deadline() > now) return entry;
    ++figures_.expired;
    lock.unlock();
    entry.request->Answer(Expired(), {entry.queued, now, now});
    lock.lock();
  }
}

bool RequestQueue::Remove(const Request* request) {
  const std::lock_guard lock(mu_);
  const auto found = places_.find(request);
  if (found == places_.end()) return false;
  waiting_.erase(found->second);
  places_.erase(found);
  ++(request->deadline() <= clock_.Now() ? figures_.expired : figures_.cancelled);
  return true;
}

void RequestQueue::Close() {
  std::list<Entry> waiting;
  {
    const std::lock_guard lock(mu_);
    closed_ = true;
    waiting.swap(waiting_);
    places_.clear();
  }
  changed_.notify_all();
  const Instant now = clock_.Now();
  for (const Entry& entry : waiting) entry.request->Answer(Closed(), {entry.queued, now, now});
}

RequestQueue::Figures RequestQueue::figures() const {
  const std::lock_guard lock(mu_);
  Figures figures = figures_;
  figures.depth = waiting_.size();
  return figures;
}

}  // namespace torchfleet::worker
