#pragma once
// The fleet as the registry's store has it: endpoints joined from their keys,
// the catalogue's models and routes, and in which order all of it changed.
//
// It answers watchers in bytes: WatchResponse messages put together from the
// store's own values. Every change counts for its position in the store, and
// what changed since a position is found without a log: each thing once, as it
// is now. Only what is gone has to be remembered for that, and of it only the
// last `most_gone`; a watcher from before gets a snapshot.
//
// Pure: no threads, no clock; not thread-safe.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "registry/state/change_order.h"
#include "registry/state/watch_filter.h"
#include "registry/store/store.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::registry {

// Which registration a worker has, and the lease it hangs on.
struct Registration {
  std::string worker_id;
  uint64_t epoch = 0;
  LeaseId lease = 0;
};

// What the store's news mean for whoever holds streams.
struct FleetNews {
  // Workers that have a wish to drain.
  std::vector<std::string> wishes;
  // Workers that are gone.
  std::vector<std::string> gone;
};

class FleetState {
 public:
  struct Options {
    // What endpoints say of their leases.
    absl::Duration ttl = absl::Seconds(5);
    // How many endpoints, models and routes each are remembered when gone.
    size_t most_gone = 10000;
  };

  explicit FleetState(Options options);

  // Everything, as StoreListener::OnItems has it. Within an incarnation it
  // counts as changes since the position before, else watchers begin anew.
  FleetNews Replace(std::span<const Item> catalogue, std::span<const Item> live,
                    const Position& position);
  // As StoreListener::OnEvents.
  FleetNews Apply(Space space, std::span<const Item> events, uint64_t revision);

  // The incarnation is empty until Replace was called.
  const Position& position() const { return position_; }
  // Where more than loads changed last.
  uint64_t urgent() const { return urgent_; }
  // Another number means that all watchers begin anew.
  uint64_t life() const { return life_; }

  std::optional<Registration> Find(std::string_view worker_id) const;
  std::vector<Registration> OfModel(std::string_view model) const;
  // The DrainRequest that a worker shall heed, as stored; nothing when none.
  Value DrainWish(std::string_view worker_id) const;
  size_t CountInState(v1::WorkerState state) const { return by_state_[static_cast<size_t>(state)]; }
  size_t disconnected() const { return disconnected_; }
  size_t models() const { return models_.size(); }
  size_t routes() const { return routes_.size(); }

  // Whether News tells all that a watcher at that position lacks. One that is
  // ahead, by what another registry told it, can resume when this one gets there.
  bool Resumable(const Position& from) const;
  // A WatchResponse with everything that the filter lets through.
  std::string Snapshot(const WatchFilter& filter) const;
  // One with what changed after a revision, to Resumable's terms; nothing when
  // there is no such change.
  std::optional<std::string> News(uint64_t after, const WatchFilter& filter) const;
  // One that says nothing but the present position.
  std::string NoNews() const;

 private:
  struct Endpoint {
    Value worker, condition, load;
    uint64_t epoch = 0;
    LeaseId lease = 0;
    std::string model;
    // When more than its condition changed last, and when its model did.
    uint64_t whole = 0, moved = 0;
    v1::WorkerState state = v1::WORKER_STATE_UNSPECIFIED;
    bool disconnected = false;
  };
  // A model or a route as stored, and the revision to be filled in.
  struct Entry {
    Value value;
    uint64_t modified = 0;
  };
  using Names = std::map<std::string, Value, std::less<>>;

  // What changes now is more than a load.
  void Urgent() { urgent_ = position_.revision; }

  void ReplaceCatalogue(std::span<const Item> catalogue);
  FleetNews ReplaceLive(std::span<const Item> live);
  void ApplyCatalogue(const Item& item);
  // Whether it is gone now and was not before.
  bool ApplyWorker(std::string_view worker_id, const Item& item);
  void ApplyCondition(std::string_view worker_id, const Value& value);
  void ApplyLoad(std::string_view worker_id, const Value& value);
  void ApplyLeft(std::string_view worker_id, const Value& value);
  bool RemoveWorker(std::string_view worker_id);
  void SetCondition(Endpoint& endpoint, const Value& value);

  void AppendEndpoint(std::string& out, uint32_t field, std::string_view worker_id,
                      const Endpoint& endpoint) const;
  std::string Response(uint32_t field, std::string_view change) const;

  const Options options_;
  Position position_;
  ChangeOrder<Endpoint> endpoints_;
  ChangeOrder<Entry> models_;
  ChangeOrder<Entry> routes_;
  Names left_;
  Names drains_;
  // Where this life began: no watcher from before can resume.
  uint64_t begun_ = 0;
  uint64_t life_ = 0;
  uint64_t urgent_ = 0;
  std::array<size_t, v1::WorkerState_ARRAYSIZE> by_state_ = {};
  size_t disconnected_ = 0;
};

}  // namespace torchfleet::registry
