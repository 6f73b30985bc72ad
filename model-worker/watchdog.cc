#include "model-worker/watchdog.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace torchfleet::worker {
namespace {

absl::Duration Interval(const Watchdog::Rules& rules) {
  absl::Duration shortest = absl::Seconds(10);
  for (const absl::Duration bound : {rules.warning, rules.limit}) {
    if (bound > absl::ZeroDuration()) shortest = std::min(shortest, bound);
  }
  return std::clamp(shortest / 10, absl::Milliseconds(10), absl::Seconds(1));
}

}  // namespace

Watchdog::Watchdog(const Rules& rules, const RunWatch& runs, MemoryBudget& memory,
                   std::function<void(const std::string&)> stuck)
    : rules_(rules), runs_(runs), memory_(memory), stuck_(std::move(stuck)) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::Start() {
  thread_ = std::thread([this] { Watch(); });
}

void Watchdog::Watch() {
  const auto interval = absl::ToChronoNanoseconds(Interval(rules_));
  std::unique_lock lock(mu_);
  while (!changed_.wait_for(lock, interval, [&] { return stopping_; })) {
    lock.unlock();
    Look();
    lock.lock();
  }
}

void Watchdog::Look() {
  const absl::Duration longest = runs_.longest();
  memory_.Measure(longest == absl::ZeroDuration());
  if (rules_.warning > absl::ZeroDuration()) {
    for (const RunWatch::Age& run : runs_.Over(rules_.warning)) {
      if (run.number <= warned_) continue;
      warned_ = run.number;
      LogWarning("a batch does not come back from the model",
                 {{"running_for", absl::FormatDuration(absl::Trunc(run.age, absl::Seconds(1)))},
                  {"ends_process_after", absl::FormatDuration(rules_.limit)}});
    }
  }
  if (rules_.limit > absl::ZeroDuration() && longest >= rules_.limit &&
      !std::exchange(told_, true)) {
    stuck_(fmt::format("a batch ran for over {}", absl::FormatDuration(rules_.limit)));
  }
}

}  // namespace torchfleet::worker
