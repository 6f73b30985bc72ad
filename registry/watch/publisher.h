#pragma once
// Tells watchers what is new, in rounds (RoundPolicy), in each of which every
// watcher that is ready gets all that it lacks in one message.
//
// A watcher is a cursor: its position, its filter, and whether its stream still
// has a message under way. While it has, nothing is kept for it: it gets one
// larger delta, or a snapshot, when it is ready again.
//
// When the store has been away for a lease's time, all streams end once, so
// that watchers try another registry; those that come then get what is known.
//
//   Add ─► ready ──round──► writing ──Written──► ready
//            └────────── Remove, or ended ─────────┘
//
// Lifecycle: destroyed after the last Remove. Borrows fleet and clock.
// Thread-safe; writes to streams on its own thread, without holding its lock.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "registry/watch/encodings.h"
#include "registry/watch/fleet.h"
#include "registry/watch/round_policy.h"

namespace torchfleet::registry {

// A stream to a watcher.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  // One message; Publisher::Written when the next one may come.
  virtual void Write(const grpc::Slice& message) = 0;
  // Nothing more comes; the reason. UNAVAILABLE.
  virtual void End(const absl::Status& why) = 0;
};

// Of one watcher, in the publisher's hands.
struct WatchCursor {
  // Set by whoever adds it.
  Position position;
  WatchFilter filter;
  std::shared_ptr<WatchSink> sink;

  // The publisher's.
  uint64_t life = 0;
  // It has been told something, be it that there is nothing new.
  bool told = false;
  bool writing = false;
};

struct PublisherFigures {
  size_t watchers = 0;
  uint64_t rounds = 0, snapshots = 0, deltas = 0, encoded = 0, bytes = 0;
};

class Publisher {
 public:
  struct Options {
    RoundPolicy::Options rounds = {};
    // How long the store may be away before streams end.
    absl::Duration patience = absl::Seconds(5);
  };

  Publisher(Options options, const Fleet& fleet, const Clock& clock);
  ~Publisher();

  void Add(const std::shared_ptr<WatchCursor>& cursor);
  // Its last message is out.
  void Written(const std::shared_ptr<WatchCursor>& cursor);
  void Remove(const std::shared_ptr<WatchCursor>& cursor);
  // It waits for a revision that this store never gave: it begins anew.
  void Forget(const std::shared_ptr<WatchCursor>& cursor);

  // As FleetListener's.
  void OnChange(bool urgent);
  void OnAvailable(bool available);

  PublisherFigures figures() const;

 private:
  struct Due {
    std::shared_ptr<WatchSink> sink;
    WatchMessage message;
  };

  void Run();
  void Round();
  // Who is to be written what, and moves the cursors.
  std::vector<Due> Collect();
  // What that watcher is to be written now; moves its cursor.
  std::optional<WatchMessage> Advance(const FleetState& state, WatchCursor& cursor);
  void EndStreams();
  // For how long the thread may sleep with nothing to publish.
  absl::Duration UntilStreamsEnd() const;
  // Asks for a round.
  void Want(bool urgent);

  const Options options_;
  const Fleet& fleet_;
  const Clock& clock_;
  enum Wanted { kNothing, kLoads, kUrgent };
  // What is new since the last round began.
  std::atomic<Wanted> wanted_ = kNothing;
  // Only on the thread.
  RoundPolicy rounds_;
  // Held for moments only, as whoever commits may wait for it.
  std::mutex wake_mu_;
  std::condition_variable woken_;
  // Since when the store is away, until streams have been ended for it.
  std::optional<Instant> away_since_ ABSL_GUARDED_BY(wake_mu_);
  bool stopping_ ABSL_GUARDED_BY(wake_mu_) = false;
  // Held while messages are encoded.
  mutable std::mutex mu_;
  std::set<std::shared_ptr<WatchCursor>> cursors_ ABSL_GUARDED_BY(mu_);
  Encodings encodings_ ABSL_GUARDED_BY(mu_);
  PublisherFigures figures_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace torchfleet::registry
