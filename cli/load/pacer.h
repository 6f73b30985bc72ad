#pragma once
// Wakes a loop at a moment to the kernel's precision; the loop's own timers are
// whole milliseconds. Only on its loop's thread.

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "net/loop/loop.h"

namespace torchfleet::cli {

class Pacer final : private net::Watcher {
 public:
  // RESOURCE_EXHAUSTED without file descriptors.
  static absl::StatusOr<std::unique_ptr<Pacer>> Create(net::Loop& loop,
                                                       std::function<void()> on_time);
  ~Pacer();

  // Once; again replaces it. At once for what has passed.
  void WakeAt(Instant moment);

 private:
  Pacer(net::Loop& loop, int fd, std::function<void()> on_time);
  void OnEvents(uint32_t events) override;

  net::Loop& loop_;
  const int fd_;
  const std::function<void()> on_time_;
};

}  // namespace torchfleet::cli
