#pragma once
// What the registry keeps, behind one seam: keys and values in two spaces, in
// the terms of etcd v3.
//
// The catalogue is durable: what Commit has acknowledged is there after any
// crash. What is live hangs on leases: a key goes when its lease ends, and a
// restart may forget all of it. A transaction changes one space, whole or not
// at all; `modified` of an item is the revision of the commit that wrote it
// last, is never given twice within a space and never goes back, not even over
// restarts. A live key's `modified` can therefore serve as an epoch.
//
// Everybody who wants to know follows: everything there is first, then every
// change in order, each at a position. A position is a revision within an
// incarnation; another incarnation means that live keys have been forgotten.
//
//   Follow ─► OnItems(all, position) ─► OnEvents(…, next revision) ─► …
//                  ▲                                   │
//                  └── changes were missed, or forgotten ◄┘
//
// Lifecycle: Open of the implementation; Follow while it is open; destruction
// returns when no listener and no callback runs any more; commits that are
// unanswered then get CANCELLED.
// Thread-safe. Callbacks and listeners run on the store's own threads or inside
// the call; they must not block. A listener is called by one thread at a time,
// and has heard of a commit before that commit is acknowledged.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace torchfleet::registry {

enum class Space { kCatalogue, kLive };

using Value = std::shared_ptr<const std::string>;

// 0: none.
using LeaseId = int64_t;

struct Item {
  std::string key;
  // Nothing where an event says that the key is gone.
  Value value = {};
  // Revisions of the commits that made it and wrote it last; of a key that is
  // gone, of the commit or the end of the lease that removed it.
  uint64_t created = 0;
  uint64_t modified = 0;
  // Of live keys.
  LeaseId lease = 0;
};

// What must hold for a transaction to happen.
struct Condition {
  std::string key;
  // The item's `modified`; 0: the key must not be there.
  uint64_t modified = 0;
};

struct Write {
  std::string key;
  // Nothing: remove it; a key that is not there is left alone.
  Value value = {};
  // Live keys hang on one; catalogue keys on none.
  LeaseId lease = 0;
};

struct Transaction {
  Space space = Space::kCatalogue;
  std::vector<Condition> conditions = {};
  // No key twice; at most kMaxWrites.
  std::vector<Write> writes = {};
};

inline constexpr size_t kMaxWrites = 100;

struct Position {
  std::string incarnation;
  uint64_t revision = 0;
};

class StoreListener {
 public:
  virtual ~StoreListener() = default;
  // Everything in both spaces, sorted by key; replaces what was known.
  virtual void OnItems(std::span<const Item> catalogue, std::span<const Item> live,
                       const Position& position) = 0;
  // What one or more commits changed in one space, in order, and the revision
  // of the position after them.
  virtual void OnEvents(Space space, std::span<const Item> events, uint64_t revision) = 0;
  // The store can be reached (true, and so at the beginning) or not. What was
  // said before stands meanwhile.
  virtual void OnAvailable(bool available) = 0;
};

class Store {
 public:
  // The revision of the commit.
  using Committed = std::function<void(absl::StatusOr<uint64_t>)>;
  using Granted = std::function<void(absl::StatusOr<LeaseId>)>;
  using Done = std::function<void(absl::Status)>;

  virtual ~Store() = default;

  // ABORTED when a condition does not hold; NOT_FOUND when a lease has ended;
  // RESOURCE_EXHAUSTED when there is no room; UNAVAILABLE when the store is
  // away, and then it may have happened all the same; INVALID_ARGUMENT for a
  // transaction that breaks the rules above.
  virtual void Commit(Transaction transaction, Committed done) = 0;

  // A lease that ends after `ttl` without renewal.
  virtual void Grant(absl::Duration ttl, Granted done) = 0;
  // The whole ttl again. NOT_FOUND when it has ended.
  virtual void Renew(LeaseId lease, Done done) = 0;
  // Ends it now: its keys are gone. NOT_FOUND when it has ended.
  virtual void Revoke(LeaseId lease, Done done) = 0;

  // The revision of the position that a follower must have reached to know of
  // every commit that was acknowledged, by anybody, before this call.
  // UNAVAILABLE when the store is away.
  virtual void Latest(Committed done) = 0;

  // Borrowed until Unfollow returns.
  virtual void Follow(StoreListener& listener) = 0;
  virtual void Unfollow(StoreListener& listener) = 0;
};

}  // namespace torchfleet::registry
