#pragma once
// How many retries and hedges there may be: a share of the calls, and at least a
// few a second, so that rescue never doubles the load of workers that are already
// in trouble, and yet a quiet model's calls are rescued.
//
// A bucket of tokens: each call puts in a fraction of one, each retry takes one.
// What calls have put in less than the floor, time puts in.
//
// Pure: time comes in as a value. Thread-safe without locks.

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace torchfleet::gateway {

class RetryBudget {
 public:
  struct Options {
    // Retries for a hundred calls.
    int64_t percent = 20;
    // Retries a second where calls give fewer.
    int64_t per_second = 10;
    // Tokens at the start: as many calls may be in flight when a worker dies.
    int64_t initial = 128;
    // The most that can be saved up.
    int64_t capacity = 512;
  };

  RetryBudget(const Options& options, Instant now);

  // A call has come.
  void Deposit();
  // Whether one retry may be made now; if so it is paid.
  bool Withdraw(Instant now);

 private:
  void Add(int64_t amount);
  void Refill(Instant now);

  const Options options_;
  // In hundredths of a token.
  std::atomic<int64_t> tokens_;
  // What calls have put in since the last refill.
  std::atomic<int64_t> deposited_ = 0;
  // When the seconds up to here were paid in, in microseconds.
  std::atomic<int64_t> refilled_;
};

}  // namespace torchfleet::gateway
