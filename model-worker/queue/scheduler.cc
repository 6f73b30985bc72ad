#include "model-worker/queue/scheduler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

// A loop that runs a batch does nothing else: neither reads nor sends.
constexpr absl::Duration kShort = absl::Milliseconds(2);
constexpr absl::Duration kVeryShort = absl::Microseconds(300);
// While all is idle, one of so many is let through whatever its outlook is:
// what is known of the model may be long untrue.
constexpr int kProbeEvery = 16;
// And otherwise one in so long.
constexpr absl::Duration kProbePause = absl::Seconds(1);

absl::Status Expired() {
  return absl::DeadlineExceededError("the deadline passed before the model could run");
}

// The delay is rounded up to a power of two, so that many are told the same.
absl::Status Hopeless(absl::Duration delay) {
  absl::Duration rounded = absl::Milliseconds(1);
  while (rounded < delay && rounded < absl::Seconds(8)) rounded *= 2;
  return WithRetryDelay(
      absl::UnavailableError("the model cannot be done with this request before its deadline"),
      rounded);
}

absl::Status Closed() {
  return WithRetryDelay(absl::UnavailableError("this worker takes no more requests"),
                        absl::Milliseconds(100));
}

double SizeOf(const Request& request) {
  return static_cast<double>(BatchChoice::RowsOf(request) *
                             std::max<int64_t>(request.checked().length, 1));
}

}  // namespace

Scheduler::Scheduler(const ModelSpec& spec, int cores, QueueStatistics& statistics,
                     const Clock& clock)
    : spec_(spec),
      rules_(spec.batching),
      slots_(spec.line.in_order ? 1 : spec.instances),
      statistics_(statistics),
      clock_(clock),
      line_(spec.line),
      chosen_(spec),
      cores_(cores) {}

absl::Status Scheduler::Push(Request& request) {
  const Instant now = clock_.Now();
  Departed departed;
  absl::Status status;
  {
    const std::lock_guard lock(mu_);
    if (closed_) return Closed();
    if (line_.size() >= spec_.line.most) {
      line_.TakeExpired(now, departed.expired);
      statistics_.expired += departed.expired.size();
    }
    status = Add(request, now);
    // No loop looks here any more.
    if (hurry_ && status.ok()) WakeExecutor();
  }
  Answer(departed, now);
  return status;
}

absl::Status Scheduler::Add(Request& request, Instant now) {
  RETURN_IF_ERROR(line_.Check(request.terms()));
  const auto promise = Promise(request, now);
  if (!promise.ok()) {
    ++statistics_.refused_early;
    return promise.status();
  }
  const absl::Status status = line_.Add(request, now);
  if (absl::IsDeadlineExceeded(status)) ++statistics_.expired;
  if (absl::IsUnavailable(status)) ++statistics_.rejected;
  RETURN_IF_ERROR(status);
  WaitingLine::Promise(request, *promise);
  rate_.Add(BatchChoice::RowsOf(request), now);
  return absl::OkStatus();
}

absl::Duration Scheduler::Outlook(const Request& request, Instant now) {
  const double size = SizeOf(request);
  const int64_t rows = BatchChoice::RowsOf(request);
  const double each = size / static_cast<double>(rows);
  const int64_t all = line_.RowsAhead(request.terms()) + rows;
  const int64_t most = std::max<int64_t>(rules_.most, 1);
  const double batches = static_cast<double>((all - 1) / most);
  const int64_t last = (all - 1) % most + 1;
  absl::Duration outlook = service_.AtLeast(static_cast<double>(last) * each) +
                           service_.AtLeast(static_cast<double>(most) * each) * batches / slots_;
  if (running_ >= slots_) outlook += std::max(runs_until_ - now, absl::ZeroDuration());
  return outlook;
}

absl::StatusOr<Instant> Scheduler::Promise(const Request& request, Instant now) {
  const Instant deadline = request.terms().deadline;
  if (deadline <= now || !service_.known()) return Instant::Infinite();
  const absl::Duration outlook = Outlook(request, now);
  // While nothing waits and nothing runs there is nothing to misjudge.
  const bool idle = line_.empty() && running_ == 0;
  const absl::Duration likely = idle ? outlook : outlook * (stretch_ + 3 * stretch_error_);
  if (now + likely <= deadline) return now + outlook;
  if (IsProbe(idle, now)) return Instant::Infinite();
  return Hopeless(now + likely - deadline);
}

bool Scheduler::IsProbe(bool idle, Instant now) {
  if (refused_++ == 0) probed_ = now;
  if (now - probed_ < kProbePause && !(idle && refused_ % kProbeEvery == 0)) return false;
  probed_ = now;
  return true;
}

bool Scheduler::Remove(Request& request) {
  const Instant now = clock_.Now();
  const std::lock_guard lock(mu_);
  if (!line_.Remove(request)) return false;
  ++(WaitingLine::Expires(request) <= now ? statistics_.expired : statistics_.cancelled);
  return true;
}

Request* Scheduler::FirstInTime(Instant now) {
  // Where others wait the time is better theirs than of one that may be too late.
  const auto needed = [&](const Request& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const double size = SizeOf(request);
    return line_.size() > 1 ? service_.Upper(size) : service_.AtLeast(size);
  };
  while (Request* const first = line_.First()) {
    // Only those whose outlook was good: what is let through is to be tried.
    const bool hopeless = WaitingLine::Promised(*first) != Instant::Infinite() &&
                          first->terms().deadline - now < needed(*first);
    if (!hopeless) return first;
    LearnStretch(*first, now + needed(*first));
    line_.Remove(*first);
    departed_.hopeless.push_back(first);
    ++statistics_.refused_early;
  }
  return nullptr;
}

BatchChance Scheduler::Chance(Instant now) {
  BatchChance chance{.rows = chosen_.rows(),
                     .full = chosen_.full() || hurry_ || closed_,
                     .fixed = service_.fixed()};
  chance.oldest = now;
  Instant deadline = Instant::Infinite();
  for (const Request* const request : chosen_.requests()) {
    chance.oldest = std::min(chance.oldest, WaitingLine::Queued(*request));
    deadline = std::min(deadline, WaitingLine::Expires(*request));
  }
  if (deadline != Instant::Infinite()) {
    // As long again, for what may come between.
    chance.latest_start = deadline - 2 * service_.Upper(chosen_.size());
  }
  chance.rows_while_fixed = rate_.Within(service_.fixed(), now);
  return chance;
}

BatchDecision Scheduler::Decide(Instant now) {
  chosen_.Clear();
  const size_t expired = departed_.expired.size();
  line_.TakeExpired(now, departed_.expired);
  statistics_.expired += departed_.expired.size() - expired;
  if (running_ >= slots_) return {};
  do {
    Request* const first = FirstInTime(now);
    if (!first) {
      handed_over_ = false;
      return {};
    }
    chosen_.Make(line_, *first);
    if (rules_.most <= 1) return {.rows = chosen_.rows()};
  } while (DropLate(now));
  return DecideBatch(rules_, Chance(now), now);
}

// Only while more wait than fit: their places are then better others'.
bool Scheduler::DropLate(Instant now) {
  if (line_.size() <= chosen_.requests().size() || !service_.known()) return false;
  const Instant done = now + service_.Upper(chosen_.size());
  const size_t before = departed_.hopeless.size();
  for (Request* const request : chosen_.requests()) {
    if (WaitingLine::Promised(*request) == Instant::Infinite()) continue;
    if (request->terms().deadline >= done) continue;
    LearnStretch(*request, done);
    line_.Remove(*request);
    departed_.hopeless.push_back(request);
  }
  const size_t dropped = departed_.hopeless.size() - before;
  statistics_.refused_early += dropped;
  return dropped > 0;
}

bool Scheduler::ForLoop() const {
  return cores_ == 1 && !hurry_ && service_.known() && service_.Expected(chosen_.size()) <= kShort;
}

bool Scheduler::ForAnyLoop() const {
  return cores_ > 1 && slots_ == 1 && line_.size() == 1 && service_.known() &&
         service_.Expected(chosen_.size()) <= kVeryShort;
}

void Scheduler::Serve(int64_t rows, Batch& batch) {
  batch.Clear();
  int64_t served = 0;
  for (Request* const request : chosen_.requests()) {
    served += BatchChoice::RowsOf(*request);
    if (served > rows && !batch.empty()) break;
    line_.Serve(*request);
    batch.Add(*request);
  }
  handed_over_ = false;
  ++running_;
  runs_until_ = clock_.Now() + service_.Expected(static_cast<double>(batch.elements()));
}

void Scheduler::Sleep(std::unique_lock<std::mutex>& lock, Instant until, Instant now) {
  ++sleeping_;
  if (until < wakes_at_) {
    wakes_at_ = until;
    changed_.wait_for(lock, absl::ToChronoNanoseconds(until - now));
    if (wakes_at_ == until) wakes_at_ = Instant::Infinite();
  } else {
    changed_.wait(lock);
  }
  --sleeping_;
  if (waking_ > 0) --waking_;
}

void Scheduler::WakeExecutor() {
  if (sleeping_ <= waking_) return;
  ++waking_;
  changed_.notify_one();
}

BatchDecision Scheduler::DecideNow(std::unique_lock<std::mutex>& lock, Instant& now) {
  while (true) {
    now = clock_.Now();
    const BatchDecision decision = Decide(now);
    if (!departed_.any()) return decision;
    Departed departed = std::exchange(departed_, {});
    lock.unlock();
    Answer(departed, now);
    lock.lock();
  }
}

bool Scheduler::Take(Batch& batch) {
  std::unique_lock lock(mu_);
  while (true) {
    Instant now;
    const BatchDecision decision = DecideNow(lock, now);
    if (closed_ && line_.empty()) return false;
    if (decision.rows > 0 && (handed_over_ || !ForLoop())) {
      Serve(decision.rows, batch);
      // There may be more for others.
      if (!line_.empty() && running_ < slots_) WakeExecutor();
      return true;
    }
    Sleep(lock, decision.rows > 0 ? Instant::Infinite() : decision.until, now);
  }
}

Scheduler::Turn Scheduler::TakeHere(Batch& batch) {
  std::unique_lock lock(mu_);
  Instant now;
  const BatchDecision decision = DecideNow(lock, now);
  if (decision.rows > 0) {
    if (ForLoop() || ForAnyLoop()) {
      Serve(decision.rows, batch);
      return {.taken = true};
    }
    handed_over_ = true;
    WakeExecutor();
  } else if (decision.until != Instant::Infinite()) {
    if (cores_ == 1 && !hurry_ && service_.known()) return {.until = decision.until};
    handed_over_ = true;
    if (decision.until < wakes_at_) WakeExecutor();
  }
  return {.core_is_taken = cores_ == 1 && (running_ > 0 || waking_ > 0)};
}

void Scheduler::Done(const Batch& batch, std::optional<absl::Duration> took) {
  const Instant now = clock_.Now();
  const std::lock_guard lock(mu_);
  --running_;
  if (hurry_ && !line_.empty()) WakeExecutor();
  if (!took) return;
  service_.Add(static_cast<double>(std::max<int64_t>(batch.elements(), 1)), *took);
  rate_.Remember(8 * service_.fixed(), now);
  for (const Request* const request : batch.requests()) LearnStretch(*request, now);
}

void Scheduler::LearnStretch(const Request& request, Instant done) {
  const Instant queued = WaitingLine::Queued(request);
  const absl::Duration promised = WaitingLine::Promised(request) - queued;
  if (promised == absl::InfiniteDuration() || promised <= absl::ZeroDuration()) return;
  const double stretch = std::clamp(absl::FDivDuration(done - queued, promised), 0.5, 20.0);
  stretch_error_ += 0.02 * (std::abs(stretch - stretch_) - stretch_error_);
  stretch_ += 0.02 * (stretch - stretch_);
}

void Scheduler::Answer(Departed& departed, Instant now) {
  for (Request* const request : departed.expired) {
    request->Answer(Expired(), {WaitingLine::Queued(*request), now, now, now, now});
  }
  for (Request* const request : departed.hopeless) {
    const absl::Status status = Hopeless(absl::Milliseconds(100));
    request->Answer(status, {WaitingLine::Queued(*request), now, now, now, now});
  }
}

void Scheduler::SetCores(int cores) {
  const std::lock_guard lock(mu_);
  cores_ = cores;
}

void Scheduler::Hurry() {
  const std::lock_guard lock(mu_);
  hurry_ = true;
  changed_.notify_all();
}

void Scheduler::Close() {
  std::vector<Request*> waiting;
  {
    const std::lock_guard lock(mu_);
    closed_ = true;
    line_.TakeAll(waiting);
  }
  changed_.notify_all();
  const Instant now = clock_.Now();
  for (Request* const request : waiting) {
    request->Answer(Closed(), {WaitingLine::Queued(*request), now, now, now, now});
  }
}

Scheduler::Figures Scheduler::figures() const {
  const std::lock_guard lock(mu_);
  return {.depth = line_.size(), .running = running_};
}

}  // namespace torchfleet::worker
