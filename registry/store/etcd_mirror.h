#pragma once
// A copy of all the registry's keys in etcd, kept up by one watch.
//
//   kReading ── listed at a revision ──► kWatching from the next one
//      ▲  │                                 │ broken, or no sign of life
//      │  └ failed: the next member ◄───────┘
//      └── the revision to go on from is forgotten, or it is another cluster
//
// After a break kReading is one linearizable read, which tells whether the
// member has a quorum behind it and whether the watch can go on where it was.
// The watch is asked for signs of life: a member that is frozen or cut off is left
// after 2 s without one.
//
// Lifecycle: Start; Stop before destruction, then idle() must come true.
// Lives on the borrowed loop, tells the borrowed observer there; borrows calls.

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "registry/client/backoff.h"
#include "registry/store/etcd_address.h"
#include "registry/store/etcd_calls.h"
#include "registry/store/loop_stream.h"

namespace torchfleet::registry {

class EtcdMirror {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    // Everything is there, and replaces what was.
    virtual void OnListed() = 0;
    virtual void OnChanges(Space space, std::span<const Item> events, uint64_t revision) = 0;
    // Whatever happened up to there has been told.
    virtual void OnReached(uint64_t revision) = 0;
    // The watch is on (true), or could not be had or has broken, and why.
    virtual void OnWatching(bool watching, const absl::Status& why) = 0;
  };

  EtcdMirror(TaskLoop& loop, EtcdCalls& calls, const EtcdKeys& keys, Observer& observer);

  void Start();
  void Stop();
  bool idle() const { return watch_ == nullptr && !reading_; }

  std::vector<Item> Items(Space space) const;
  uint64_t cluster_id() const { return cluster_id_; }
  // Up to where everything has been told.
  uint64_t reached() const { return reached_; }
  bool watching() const { return watching_; }

 private:
  using Stream = LoopStream<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>;
  using Table = std::map<std::string, Item, std::less<>>;
  struct Listing {
    Table catalogue = {}, live = {};
    uint64_t cluster_id = 0;
    int64_t revision = 0;
  };

  void Read();
  void OnRead(absl::StatusOr<etcdserverpb::RangeResponse> response);
  void ReadPage(std::string from);
  void OnPage(absl::StatusOr<etcdserverpb::RangeResponse> response);
  void Adopt();

  void Watch();
  void OnWatch(etcdserverpb::WatchResponse& response);
  void OnEvents(etcdserverpb::WatchResponse& response);
  void Tell(Space space, std::vector<Item>& run);
  void AskForLife();

  // Leaves the member and tries the next one, with a pause once all have failed.
  void Fail(const absl::Status& why);

  TaskLoop& loop_;
  EtcdCalls& calls_;
  const EtcdKeys& keys_;
  Observer& observer_;
  Backoff backoff_;

  Table catalogue_, live_;
  // What is there can be gone on from.
  bool listed_ = false;
  uint64_t cluster_id_ = 0;
  uint64_t reached_ = 0;

  const EtcdCalls::Member* member_ = nullptr;
  bool reading_ = false;
  std::unique_ptr<Listing> listing_;
  std::shared_ptr<Stream> watch_;
  bool watching_ = false;
  // Signs of life that were asked for and have not come.
  int silent_ = 0;
  absl::Status cancelled_for_;
  size_t failures_ = 0;
  bool stopping_ = false;
};

}  // namespace torchfleet::registry
