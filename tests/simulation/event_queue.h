#pragma once
// Virtual time: what happens next, and when. Nothing passes but by Run.

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"

namespace torchfleet::simulation {

class EventQueue {
 public:
  Instant now() const { return now_; }

  void At(Instant when, std::function<void()> what) {
    events_.push({when < now_ ? now_ : when, count_++, std::move(what)});
  }
  void After(absl::Duration delay, std::function<void()> what) {
    At(now_ + delay, std::move(what));
  }

  // All that happens before `end`.
  void Run(Instant end) {
    while (!events_.empty() && events_.top().when < end) {
      Event event = std::move(const_cast<Event&>(events_.top()));
      events_.pop();
      now_ = event.when;
      event.what();
    }
    now_ = end;
  }

 private:
  struct Event {
    Instant when;
    uint64_t number;
    std::function<void()> what;
    // Of what happens at once, what was said first.
    friend bool operator<(const Event& a, const Event& b) {
      return a.when == b.when ? a.number > b.number : b.when < a.when;
    }
  };

  // Not the clock's start, which means never in places.
  Instant now_ = Instant::FromStart(absl::Seconds(1000));
  uint64_t count_ = 0;
  std::priority_queue<Event> events_;
};

}  // namespace torchfleet::simulation
