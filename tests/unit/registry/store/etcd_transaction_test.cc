#include "registry/store/etcd_transaction.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/registry/store/store_calls.h"

namespace torchfleet::registry {
namespace {

TEST_CASE("ToEtcd: writes, removals and conditions in etcd's words", "[registry][store][etcd]") {
  Transaction transaction = PutLive("workers/w", "here", 7);
  transaction.writes.push_back({.key = "left/w"});
  transaction.conditions = {{.key = "workers/w", .modified = 5}, {.key = "workers/v"}};
  const auto request = ToEtcd(transaction, EtcdKeys("x"));
  REQUIRE(request.ok());
  REQUIRE(request->success_size() == 2);
  CHECK(request->success(0).request_put().key() == "/x/live/workers/w");
  CHECK(request->success(0).request_put().value() == "here");
  CHECK(request->success(0).request_put().lease() == 7);
  CHECK(request->success(1).request_delete_range().key() == "/x/live/left/w");
  REQUIRE(request->compare_size() == 2);
  CHECK(request->compare(0).mod_revision() == 5);
  CHECK(request->compare(1).mod_revision() == 0);
  CHECK(request->failure_size() == 2);
}

TEST_CASE("ToEtcd: more conditions than etcd takes are refused", "[registry][store][etcd]") {
  Transaction transaction = Put("models/a", "1");
  transaction.conditions.resize(129, {.key = "models/a"});
  CHECK(absl::IsInvalidArgument(ToEtcd(transaction, EtcdKeys("x")).status()));
}

TEST_CASE("WhyAborted: names the condition that does not hold", "[registry][store][etcd]") {
  Transaction transaction;
  transaction.conditions = {{.key = "models/a", .modified = 5}, {.key = "models/b"}};
  etcdserverpb::TxnResponse response;
  response.add_responses()->mutable_response_range()->add_kvs()->set_mod_revision(5);
  response.add_responses()->mutable_response_range()->add_kvs()->set_mod_revision(6);
  const absl::Status status = WhyAborted(transaction, response);
  CHECK(absl::IsAborted(status));
  CHECK(std::string(status.message()).find("models/b") != std::string::npos);
}

TEST_CASE("ItemOf: a key that is gone was made and written when it went",
          "[registry][store][etcd]") {
  mvccpb::KeyValue value;
  value.set_mod_revision(9);
  const Item gone = ItemOf("a", mvccpb::KeyValue(value), true);
  CHECK(gone.value == nullptr);
  CHECK(gone.created == 9);
  CHECK(gone.modified == 9);
  value.set_create_revision(3);
  value.set_value("text");
  value.set_lease(7);
  const Item there = ItemOf("a", std::move(value), false);
  CHECK(*there.value == "text");
  CHECK(there.created == 3);
  CHECK(there.lease == 7);
}

TEST_CASE("FromEtcd: what callers can act on", "[registry][store][etcd]") {
  using grpc::StatusCode;
  struct Case {
    StatusCode code;
    std::string said;
    absl::StatusCode expected;
  };
  const Case cases[] = {
      {StatusCode::OK, "", absl::StatusCode::kOk},
      {StatusCode::NOT_FOUND, "etcdserver: requested lease not found", absl::StatusCode::kNotFound},
      {StatusCode::RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded",
       absl::StatusCode::kResourceExhausted},
      {StatusCode::RESOURCE_EXHAUSTED, "etcdserver: too many requests",
       absl::StatusCode::kUnavailable},
      {StatusCode::INVALID_ARGUMENT, "etcdserver: request is too large",
       absl::StatusCode::kInvalidArgument},
      {StatusCode::OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted",
       absl::StatusCode::kOutOfRange},
      {StatusCode::UNAVAILABLE, "etcdserver: no leader", absl::StatusCode::kUnavailable},
      {StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded", absl::StatusCode::kUnavailable},
      {StatusCode::UNKNOWN, "context canceled", absl::StatusCode::kUnavailable},
      {StatusCode::UNAUTHENTICATED, "etcdserver: invalid auth token",
       absl::StatusCode::kPermissionDenied},
  };
  for (const Case& c : cases) {
    INFO(c.said);
    const absl::Status status = FromEtcd(grpc::Status(c.code, c.said), "etcd.example:2379");
    CHECK(status.code() == c.expected);
    CHECK((status.ok() ||
           std::string(status.message()).find("etcd.example:2379") != std::string::npos));
  }
}

}  // namespace
}  // namespace torchfleet::registry
