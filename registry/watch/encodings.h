#pragma once
// What watchers are to be written, each message encoded once for all who are at
// the same position with the same filter, and shared between their streams.
//
// Only the messages to the fleet's present position are kept. Not thread-safe;
// the messages' bytes are.

#include <grpcpp/support/slice.h>

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "registry/state/fleet_state.h"

namespace torchfleet::registry {

struct WatchMessage {
  enum class Kind { kSnapshot, kDelta };
  Kind kind = Kind::kDelta;
  grpc::Slice bytes = {};
};

class Encodings {
 public:
  // What a watcher gets that has everything up to `from`; nothing when it lacks
  // nothing. `from` is within the state's life, see Resumable.
  std::optional<WatchMessage> News(const FleetState& state, uint64_t from,
                                   const WatchFilter& filter);
  WatchMessage Snapshot(const FleetState& state, const WatchFilter& filter);

  // How many messages were encoded, snapshots among them.
  uint64_t encoded() const { return encoded_; }

 private:
  void KeepUpTo(const FleetState& state);
  grpc::Slice Encoded(std::string bytes);

  uint64_t life_ = 0;
  uint64_t revision_ = 0;
  std::map<std::pair<uint64_t, WatchFilter>, std::optional<WatchMessage>> news_;
  std::map<WatchFilter, WatchMessage> snapshots_;
  uint64_t encoded_ = 0;
};

}  // namespace torchfleet::registry
