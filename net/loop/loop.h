#pragma once
// An event loop: sockets, timers and work from other threads, on one thread.
//
//   a turn: wait ─► sockets ready ─► posted work ─► timers due ─► turn ends
//
// What was written during a turn goes out when it ends: a TurnEnd is asked once
// a turn however often it was scheduled, so a connection makes one write for
// all its streams. What is to be deleted is deleted after that, so nobody finds
// an object gone that it was about to call.
//
// Lifecycle: Run returns after Stop, and may be called again; destroyed after
//   Run has returned and all watchers and timers are gone.
// Only on the loop's thread, but for Stop and Post, which any thread may call.

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "net/buffer/block.h"

namespace torchfleet::net {

class Timer;

// What a file descriptor's readiness is told to. `events` as epoll has them.
class Watcher {
 public:
  virtual void OnEvents(uint32_t events) = 0;

 protected:
  ~Watcher() = default;
};

// Asked at the end of a turn in which it was scheduled.
class TurnEnd {
 public:
  virtual void OnTurnEnd() = 0;

 protected:
  ~TurnEnd() = default;

 private:
  friend class Loop;
  bool scheduled_ = false;
};

// What can wait for the turn's end to be deleted.
class Mortal {
 public:
  virtual ~Mortal() = default;
};

class Loop {
 public:
  // RESOURCE_EXHAUSTED without file descriptors.
  static absl::StatusOr<std::unique_ptr<Loop>> Create();
  ~Loop();

  void Run();
  void Stop();
  void Post(std::function<void()> work);

  // When this turn began.
  Instant now() const { return now_; }

  // Level-triggered. A descriptor has one watcher; errors of epoll itself end
  // the process, as they are errors of this program.
  void Watch(int fd, uint32_t events, Watcher* watcher);
  void ChangeEvents(int fd, uint32_t events, Watcher* watcher);
  void Unwatch(int fd, Watcher* watcher);

  void AtTurnEnd(TurnEnd* flusher);
  // Takes back AtTurnEnd, before the flusher's destruction.
  void ForgetTurnEnd(TurnEnd* flusher);
  void DeleteLater(std::unique_ptr<Mortal> object);

  BlockPool& blocks() { return blocks_; }

 private:
  friend class Timer;
  struct Entry {
    int64_t when;  // nanoseconds since the clock's start
    Timer* timer;
  };

  Loop(int epoll_fd, int wake_fd);

  void Turn();
  // Nanoseconds until a timer is due; -1: none is.
  int64_t WaitLimit() const;
  int Wait();
  void RunPosted();
  void RunTimers();
  void EndTurn();

  // The timers, a binary heap by time; each knows its place.
  void Insert(Timer* timer, int64_t when);
  void Remove(Timer* timer);
  void Place(size_t at, Entry entry);
  void Rise(size_t at);
  void Sink(size_t at);

  static constexpr int kMaxEvents = 128;

  const MonotonicClock clock_;
  const int epoll_fd_;
  const int wake_fd_;
  Instant now_;
  std::atomic<bool> stopping_ = false;
  bool waits_exactly_ = true;
  epoll_event events_[kMaxEvents];
  int events_left_ = 0;
  int events_count_ = 0;
  std::vector<Entry> timers_;
  std::vector<TurnEnd*> ends_;
  std::vector<std::unique_ptr<Mortal>> graves_;
  BlockPool blocks_;

  std::mutex mu_;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mu_);
  std::vector<std::function<void()>> running_;
};

// Calls `on_time` once after a while. Destroyed before its loop.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> on_time) : loop_(loop), on_time_(std::move(on_time)) {}
  ~Timer() { Stop(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // From the turn's beginning; starts it anew when it runs already. Never, for
  // an infinite duration.
  void Start(absl::Duration after);
  void Stop();
  bool running() const { return place_ >= 0; }

 private:
  friend class Loop;
  Loop& loop_;
  const std::function<void()> on_time_;
  std::ptrdiff_t place_ = -1;
};

}  // namespace torchfleet::net
