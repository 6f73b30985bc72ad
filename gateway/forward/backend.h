#pragma once
// The workers' addresses, each with its connection and what this gateway knows
// of it: calls outstanding, and when it last could not be reached.
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
#include "net/socket/address.h"

namespace torchfleet::gateway {

// A worker that says nothing for this long, with a call on it, is given up.
inline constexpr absl::Duration kFrozenAfter = absl::Seconds(5);
// It is pinged after this much silence, and has the rest of the time to answer.
inline constexpr absl::Duration kPingInterval = absl::Seconds(2);

class Backend {
 public:
  explicit Backend(std::string address);

  // Of gRPC's library, for calls that are no inference; connected by the first.
  grpc::GenericStub& stub();
  // Nothing when the address cannot be resolved.
  const std::optional<net::Address>& net_address() const { return net_address_; }

  void Begin() { outstanding_.fetch_add(1, std::memory_order_relaxed); }
  void End() { outstanding_.fetch_sub(1, std::memory_order_relaxed); }
  int64_t outstanding() const { return outstanding_.load(std::memory_order_relaxed); }

  // It could not be reached, or it answered.
  void SetFailed(Instant now);
  void SetAnswered() { failed_.store(0, std::memory_order_relaxed); }
  bool FailedLately(Instant now) const;

  // Connects at once instead of waiting for its turn: a new process is there.
  void Reconnect();

 private:
  const std::string address_;
  const std::optional<net::Address> net_address_;
  std::mutex mu_;
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mu_);
  std::optional<grpc::GenericStub> stub_ ABSL_GUARDED_BY(mu_);
  std::atomic<int64_t> outstanding_ = 0;
  // In microseconds on the clock; 0 for not at all.
  std::atomic<int64_t> failed_ = 0;
};

class BackendTable {
 public:
  using Table = SharedMap<std::shared_ptr<Backend>>;

  // Addresses where something differs, each with the epoch of the registration
  // there, or nothing where nobody is any more. An address with another epoch than
  // before is connected to anew.
  void Update(const std::map<std::string, std::optional<uint64_t>>& changes);

  std::shared_ptr<const Table> Get() const { return table_.Get(); }
  const Snapshot<Table>& table() const { return table_; }

 private:
  Snapshot<Table> table_;
  // Only Update's.
  std::map<std::string, uint64_t> epochs_;
};

}  // namespace torchfleet::gateway
