#pragma once
// A transaction in etcd's words, and etcd's answers in ours. Pure.

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "etcd/rpc.pb.h"
#include "registry/store/etcd_address.h"
#include "registry/store/store.h"

namespace torchfleet::registry {

// INVALID_ARGUMENT for one that breaks the rules of store.h, or has more
// conditions than etcd takes.
absl::StatusOr<etcdserverpb::TxnRequest> ToEtcd(const Transaction& transaction,
                                                const EtcdKeys& keys);

// The condition that did not hold, from an answer whose `succeeded` is false.
absl::Status WhyAborted(const Transaction& transaction, const etcdserverpb::TxnResponse& response);

// It wrote or removed something.
bool ChangedSomething(const etcdserverpb::TxnResponse& response);

// The item that an event or a listing tells of.
Item ItemOf(std::string key, mvccpb::KeyValue&& value, bool gone);

// NOT_FOUND for a lease that has ended, RESOURCE_EXHAUSTED when there is no room,
// INVALID_ARGUMENT and OUT_OF_RANGE as they are, UNAVAILABLE for whatever keeps
// etcd from doing it now. `member` is named in it.
absl::Status FromEtcd(const grpc::Status& status, const std::string& member);

}  // namespace torchfleet::registry
