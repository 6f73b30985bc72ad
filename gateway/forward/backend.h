#pragma once
// The workers' addresses, each with its connection and what this gateway knows
// of its health.
//
// A Backend lives from the moment the fleet names its address until it no
// longer does, and beyond for as long as calls hold it. Connections ping a
// worker that owes an answer, so that a frozen one is noticed within
// kFrozenAfter.
//
// Thread-safe; Update by one caller at a time.

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/shared_map.h"
#include "base/snapshot.h"
#include "gateway/balance/endpoint_health.h"
#include "net/socket/address.h"

namespace torchfleet::gateway {

// A worker that says nothing for this long, with a call on it, is given up.
inline constexpr absl::Duration kFrozenAfter = absl::Seconds(5);
// It is pinged after this much silence, and has the rest of the time to answer.
inline constexpr absl::Duration kPingInterval = absl::Seconds(2);

class Backend {
 public:
  // `loops`: how many count calls of it.
  Backend(std::string address, size_t loops, Instant now);

  // Of gRPC's library, for calls that are no inference; connected by the first.
  grpc::GenericStub& stub();
  const std::string& address() const { return address_; }
  // Nothing when the address cannot be resolved.
  const std::optional<net::Address>& net_address() const { return net_address_; }

  EndpointHealth& health() { return health_; }
  const EndpointHealth& health() const { return health_; }

  // The fleet no longer names its address; another Backend takes its place if it
  // does again.
  void SetLeft() { left_.store(true, std::memory_order_relaxed); }
  bool left() const { return left_.load(std::memory_order_relaxed); }

  // Connects at once instead of waiting for its turn: a new process is there.
  void Reconnect(Instant now);

 private:
  const std::string address_;
  std::atomic<bool> left_ = false;
  const std::optional<net::Address> net_address_;
  std::mutex mu_;
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mu_);
  std::optional<grpc::GenericStub> stub_ ABSL_GUARDED_BY(mu_);
  EndpointHealth health_;
};

class BackendTable {
 public:
  using Table = SharedMap<std::shared_ptr<Backend>>;

  // `loops`: how many event loops make calls.
  explicit BackendTable(size_t loops = 1) : loops_(loops) {}

  // Addresses where something differs, each with the epoch of the registration
  // there, or nothing where nobody is any more. An address with another epoch than
  // before is connected to anew.
  void Update(const std::map<std::string, std::optional<uint64_t>>& changes, Instant now);

  std::shared_ptr<const Table> Get() const { return table_.Get(); }
  const Snapshot<Table>& table() const { return table_; }

 private:
  const size_t loops_;
  Snapshot<Table> table_;
  // Only Update's.
  std::map<std::string, uint64_t> epochs_;
};

}  // namespace torchfleet::gateway
