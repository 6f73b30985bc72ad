#pragma once
// How a model's calls are sent to its workers, as its route says (CallPolicy), with
// what it does not say filled in. Pure; borrows from the snapshot of the fleet.

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::gateway {

class CallRules {
 public:
  // Of a model that has no route, or whose route says nothing.
  CallRules() : policy_(&registry::v1::CallPolicy::default_instance()) {}
  explicit CallRules(const registry::v1::CallPolicy& policy) : policy_(&policy) {}

  // A request may be computed twice.
  bool idempotent() const { return !policy_->has_idempotent() || policy_->idempotent(); }

  bool hedges() const { return idempotent() && !policy_->hedging().disabled(); }
  // The share of answers that are there when a hedge goes.
  double hedge_share() const { return Or(policy_->hedging().percentile(), 97.5) / 100; }

  // Where the key is that keeps a call at a worker; not set: it has none.
  bool sticky() const { return policy_->has_consistent_hash(); }
  const registry::v1::ConsistentHash& key() const { return policy_->consistent_hash(); }
  // How many times the mean a worker may have of such calls.
  double most_load() const { return Or(key().max_load_percent(), 125) / 100; }

  // Of this gateway's calls; 0: no limit.
  uint32_t most_in_flight() const { return policy_->admission().max_in_flight(); }
  uint32_t most_waiting() const {
    return static_cast<uint32_t>(Or(policy_->admission().max_waiting(), 1024));
  }
  // How long one waits; not set: as the waiting room has it.
  std::optional<absl::Duration> patience() const {
    const uint32_t said = policy_->admission().max_wait_ms();
    return said == 0 ? std::nullopt : std::optional(absl::Milliseconds(said));
  }

 private:
  static double Or(double said, double otherwise) { return said > 0 ? said : otherwise; }

  const registry::v1::CallPolicy* policy_;
};

}  // namespace torchfleet::gateway
