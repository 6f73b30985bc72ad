#pragma once
// What a worker counts of its requests. Thread-safe; written on the path of a
// call without a lock.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "model-worker/queue/request.h"

namespace torchfleet::worker {

class ModelStatistics {
 public:
  // How often, and how long in sum.
  struct Duration {
    std::atomic<uint64_t> count = 0, nanoseconds = 0;
    void Add(int64_t took) {
      count.fetch_add(1, std::memory_order_relaxed);
      nanoseconds.fetch_add(static_cast<uint64_t>(took), std::memory_order_relaxed);
    }
  };
  // Upper bounds of the request duration histogram, in seconds.
  static constexpr std::array kBounds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                         0.025,  0.05,    0.1,    0.25,  0.5,    1.0,   2.5};

  // An answer that the executor gave. `rows`: the batch, or 1.
  void Answered(absl::StatusCode code, const RequestTimes& times, int64_t rows, absl::Time wall) {
    const auto nanoseconds = [](Instant instant) {
      return absl::ToInt64Nanoseconds(instant.since_start());
    };
    const int64_t queued = nanoseconds(times.queued), started = nanoseconds(times.started),
                  gathered = nanoseconds(times.gathered), computed = nanoseconds(times.computed),
                  finished = nanoseconds(times.finished);
    (code == absl::StatusCode::kOk ? success : fail).Add(finished - queued);
    if (code == absl::StatusCode::kOk) {
      rows_answered.fetch_add(static_cast<uint64_t>(rows), std::memory_order_relaxed);
      queue.Add(started - queued);
      input.Add(gathered - started);
      infer.Add(computed - gathered);
      output.Add(finished - computed);
      const double seconds = static_cast<double>(finished - queued) / 1e9;
      const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
      buckets[static_cast<size_t>(bucket - kBounds.begin())].fetch_add(1,
                                                                       std::memory_order_relaxed);
    }
    last_ms.store(static_cast<uint64_t>(absl::ToUnixMillis(wall)), std::memory_order_relaxed);
    Counted(code);
  }
  // Any answer, by code.
  void Counted(absl::StatusCode code) {
    codes[static_cast<size_t>(code) % codes.size()].fetch_add(1, std::memory_order_relaxed);
  }

  // Of each request: in the queue, and of its batch: gathering inputs, the model,
  // and parting the outputs.
  Duration success, fail, queue, input, infer, output;
  std::atomic<uint64_t> rows_answered = 0, last_ms = 0;
  // By absl::StatusCode.
  std::array<std::atomic<uint64_t>, 17> codes{};
  // The last one is over every bound.
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> buckets{};
};

}  // namespace torchfleet::worker
