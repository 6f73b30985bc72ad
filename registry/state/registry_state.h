#pragma once
// The fleet as the registry knows it: endpoints, their leases, and a log of
// changes by revision.
//
//   Register ─► live ──Renew──► live
//                 ├── no renewal for ttl ─► gone (Expire)
//                 ├── Leave ─────────────► gone
//                 └── Register with a higher epoch replaces it
//
// Every visible change raises the revision by one. The log remembers which
// worker changed at the last `log_capacity` revisions; a watcher behind that
// gets a snapshot. Pure: no threads, no clock; not thread-safe.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::registry {

class RegistryState {
 public:
  struct Options {
    // Which life of the state the revisions count in.
    std::string incarnation;
    absl::Duration ttl = absl::Seconds(5);
    size_t log_capacity = 10000;
  };

  explicit RegistryState(Options options) : options_(std::move(options)) {}

  // Begins a lease. INVALID_ARGUMENT for an incomplete registration,
  // FAILED_PRECONDITION when a higher epoch of the same worker is live.
  absl::Status Register(const v1::Worker& worker, uint64_t epoch, v1::WorkerState state,
                        const v1::Load& load, Instant now);
  // FAILED_PRECONDITION when that lease has ended or a newer one has taken over.
  absl::Status Renew(const std::string& worker_id, uint64_t epoch, v1::WorkerState state,
                     const v1::Load& load, Instant now);
  // The same errors as Renew. `reason`: why, for whoever sees that worker's next
  // registration; empty where there is nothing to say.
  absl::Status Leave(const std::string& worker_id, uint64_t epoch, const std::string& reason = "");
  // Ends every lease that `now` has passed; the workers that are gone.
  std::vector<std::string> Expire(Instant now);

  // When the next lease ends; Infinite without leases.
  Instant NextExpiry() const;
  uint64_t revision() const { return revision_; }
  absl::Duration ttl() const { return options_.ttl; }
  size_t size() const { return leases_.size(); }
  size_t CountInState(v1::WorkerState state) const;

  // What a watcher that has `after_revision` of `incarnation` must hear to have
  // the present: a delta where the log reaches back that far (it may be empty),
  // else a snapshot.
  v1::WatchResponse Since(const std::string& incarnation, uint64_t after_revision) const;

 private:
  struct Lease {
    v1::Endpoint endpoint;
    Instant ends;
  };

  absl::Status CheckLease(const std::string& worker_id, uint64_t epoch) const;
  void Changed(const std::string& worker_id);
  void Remove(const std::string& worker_id);
  void KeepReason(const std::string& worker_id, const std::string& reason);

  const Options options_;
  std::map<std::string, Lease> leases_;
  // Why workers left, of the last that said so.
  std::map<std::string, std::string> reasons_;
  std::deque<std::string> with_reason_;
  // The worker changed at revisions (revision_ - log_.size(), revision_].
  std::deque<std::string> log_;
  uint64_t revision_ = 0;
};

}  // namespace torchfleet::registry
