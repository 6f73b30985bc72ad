#include "registry/store/etcd_transaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "registry/store/transaction_rules.h"

namespace torchfleet::registry {

namespace {

// etcd's own default limit.
constexpr size_t kMaxConditions = 128;

}  // namespace

absl::StatusOr<etcdserverpb::TxnRequest> ToEtcd(const Transaction& transaction,
                                                const EtcdKeys& keys) {
  RETURN_IF_ERROR(CheckRules(transaction));
  if (transaction.conditions.size() > kMaxConditions) {
    return absl::InvalidArgumentError(
        fmt::format("a transaction came with {} conditions; expected at most {}",
                    transaction.conditions.size(), kMaxConditions));
  }
  etcdserverpb::TxnRequest request;
  for (const Condition& condition : transaction.conditions) {
    etcdserverpb::Compare& compare = *request.add_compare();
    compare.set_target(etcdserverpb::Compare::MOD);
    compare.set_result(etcdserverpb::Compare::EQUAL);
    compare.set_key(keys.Full(transaction.space, condition.key));
    compare.set_mod_revision(static_cast<int64_t>(condition.modified));
    etcdserverpb::RangeRequest& found = *request.add_failure()->mutable_request_range();
    found.set_key(compare.key());
    found.set_keys_only(true);
  }
  for (const Write& write : transaction.writes) {
    etcdserverpb::RequestOp& step = *request.add_success();
    std::string key = keys.Full(transaction.space, write.key);
    if (write.value) {
      step.mutable_request_put()->set_key(std::move(key));
      step.mutable_request_put()->set_value(*write.value);
      step.mutable_request_put()->set_lease(write.lease);
    } else {
      step.mutable_request_delete_range()->set_key(std::move(key));
    }
  }
  return request;
}

absl::Status WhyAborted(const Transaction& transaction, const etcdserverpb::TxnResponse& response) {
  for (int i = 0; i < response.responses_size(); ++i) {
    const auto& kvs = response.responses(i).response_range().kvs();
    const uint64_t found = kvs.empty() ? 0 : static_cast<uint64_t>(kvs[0].mod_revision());
    const Condition& condition = transaction.conditions[static_cast<size_t>(i)];
    if (found != condition.modified) return ConditionFailed(condition, found);
  }
  return absl::AbortedError("a condition does not hold");
}

bool ChangedSomething(const etcdserverpb::TxnResponse& response) {
  return std::ranges::any_of(response.responses(), [](const etcdserverpb::ResponseOp& step) {
    return step.has_response_put() || step.response_delete_range().deleted() > 0;
  });
}

Item ItemOf(std::string key, mvccpb::KeyValue&& value, bool gone) {
  Item item{.key = std::move(key)};
  item.modified = static_cast<uint64_t>(value.mod_revision());
  item.created = gone ? item.modified : static_cast<uint64_t>(value.create_revision());
  if (!gone) {
    item.value = std::make_shared<const std::string>(std::move(*value.mutable_value()));
    item.lease = value.lease();
  }
  return item;
}

absl::Status FromEtcd(const grpc::Status& status, const std::string& member) {
  if (status.ok()) return absl::OkStatus();
  const std::string& said = status.error_message();
  const std::string message = fmt::format("etcd at {}: {}", member, Clip(said, 256));
  switch (status.error_code()) {
    case grpc::StatusCode::NOT_FOUND:
      return absl::NotFoundError(message);
    case grpc::StatusCode::INVALID_ARGUMENT:
      return absl::InvalidArgumentError(message);
    case grpc::StatusCode::OUT_OF_RANGE:
      return absl::OutOfRangeError(message);
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return absl::PermissionDeniedError(message);
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      // etcd says the same code when it is asked too fast.
      if (said.find("space exceeded") != std::string::npos) {
        return absl::ResourceExhaustedError(
            message + "; compact and defragment it, then disarm its alarm, or raise its quota");
      }
      return absl::UnavailableError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace torchfleet::registry
