#pragma once
// A request and a clock in the hands of a test.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "model-worker/queue/request.h"

namespace torchfleet::worker {

// Stands still until it is moved. Thread-safe.
class ManualClock : public Clock {
 public:
  Instant Now() const override {
    return Instant::FromStart(absl::Nanoseconds(now_.load(std::memory_order_relaxed)));
  }
  void Advance(absl::Duration by) { now_.fetch_add(absl::ToInt64Nanoseconds(by)); }

 private:
  std::atomic<int64_t> now_ = 1;
};

// Remembers how often and with what it was answered. Thread-safe.
class FakeRequest : public Request {
 public:
  explicit FakeRequest(RequestTerms terms = {}, CheckedRequest checked = {})
      : terms_(terms), checked_(std::move(checked)) {}

  const CheckedRequest& checked() const override { return checked_; }
  const RequestTerms& terms() const override { return terms_; }
  void Answer(absl::StatusOr<std::vector<OutputTensor>> outputs, const RequestTimes&) override {
    // With the lock: whoever waits may end this request at once.
    const std::lock_guard lock(mu_);
    ++answers_;
    status_ = outputs.status();
    if (outputs.ok()) outputs_ = *std::move(outputs);
    answered_.notify_all();
  }

  int answers() const {
    const std::lock_guard lock(mu_);
    return answers_;
  }
  // Waits, with a limit, for the answer.
  absl::Status status() const {
    std::unique_lock lock(mu_);
    if (!answered_.wait_for(lock, std::chrono::seconds(30), [&] { return answers_ > 0; })) {
      return absl::UnknownError("never answered");
    }
    return status_;
  }
  std::vector<OutputTensor> outputs() const {
    const std::lock_guard lock(mu_);
    return outputs_;
  }

 private:
  const RequestTerms terms_;
  const CheckedRequest checked_;
  mutable std::mutex mu_;
  mutable std::condition_variable answered_;
  int answers_ = 0;
  absl::Status status_;
  std::vector<OutputTensor> outputs_;
};

}  // namespace torchfleet::worker
