#pragma once
// Calls to an etcd cluster: a channel to each member, one member at a time.
//
// The member stays the same until it is reported lost or its connection breaks;
// then the next one that can be reached takes its place. Every call demands a
// leader, so that a member which a partition has cut off refuses at once. What
// was refused, or never left, goes to the next member; a change that may have
// happened does not. All ends after kEtcdCallTimeout at the latest.
//
// Lifecycle: Cancel before destruction; when it returns no answer is under way
//   on a thread of gRPC's.
// Lives on the borrowed loop: its functions are called there, and answers come
//   there.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "etcd/rpc.grpc.pb.h"
#include "registry/store/etcd_transaction.h"
#include "registry/store/task_loop.h"

namespace torchfleet::registry {

inline constexpr absl::Duration kEtcdCallTimeout = absl::Seconds(5);

// Of every stream and call.
void DemandLeader(grpc::ClientContext& context);

class EtcdCalls {
 public:
  struct Member {
    std::string address;
    std::shared_ptr<grpc::Channel> channel = nullptr;
    std::unique_ptr<etcdserverpb::KV::Stub> kv = nullptr;
    std::unique_ptr<etcdserverpb::Watch::Stub> watch = nullptr;
    std::unique_ptr<etcdserverpb::Lease::Stub> lease = nullptr;
  };

  // Borrows loop and clock.
  EtcdCalls(TaskLoop& loop, const Clock& clock, const std::vector<std::string>& members);

  // Whom to ask now.
  Member& member();
  // The next one from now on, unless it is another one already.
  void Lost(const Member& member);
  size_t member_count() const { return members_.size(); }

  void Txn(etcdserverpb::TxnRequest request,
           std::function<void(absl::StatusOr<etcdserverpb::TxnResponse>)> done);
  void Range(etcdserverpb::RangeRequest request,
             std::function<void(absl::StatusOr<etcdserverpb::RangeResponse>)> done);
  void Grant(etcdserverpb::LeaseGrantRequest request,
             std::function<void(absl::StatusOr<etcdserverpb::LeaseGrantResponse>)> done);
  void Revoke(etcdserverpb::LeaseRevokeRequest request,
              std::function<void(absl::StatusOr<etcdserverpb::LeaseRevokeResponse>)> done);

  // Cancels what is under way: its answers come as UNAVAILABLE.
  void Cancel();
  size_t under_way() const { return contexts_.size() + resting_; }

 private:
  // What becomes of an error before the time is over.
  enum class Repeat { kAlways, kIfNotDone };

  template <typename Request, typename Response, typename Start>
  struct Exchange;
  template <typename Request, typename Response, typename Start>
  void Call(Request request, Repeat repeat, std::function<void(absl::StatusOr<Response>)> done,
            Start start);
  template <typename Request, typename Response, typename Start>
  void Try(std::shared_ptr<Exchange<Request, Response, Start>> exchange);

  TaskLoop& loop_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Member>> members_;
  size_t current_ = 0;
  std::unordered_set<grpc::ClientContext*> contexts_;
  // Calls that wait for their next try.
  size_t resting_ = 0;
  bool cancelled_ = false;
};

}  // namespace torchfleet::registry
