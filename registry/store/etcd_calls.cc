#include "registry/store/etcd_calls.h"

#include <grpcpp/create_channel.h>

namespace torchfleet::registry {

namespace {

// etcd closes connections that are pinged more often than each 5 s; the watch
// notices a frozen member sooner.
std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // etcd's pages and events have no bound of their own.
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

bool Failing(const EtcdCalls::Member& member) {
  const auto state = member.channel->GetState(/*try_to_connect=*/true);
  return state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN;
}

template <typename Request, typename Response>
struct Exchange {
  grpc::ClientContext context;
  Request request;
  Response response;
};

}  // namespace

void DemandLeader(grpc::ClientContext& context) { context.AddMetadata("hasleader", "true"); }

EtcdCalls::EtcdCalls(TaskLoop& loop, const std::vector<std::string>& members) : loop_(loop) {
  for (const std::string& address : members) {
    auto member = std::make_unique<Member>(Member{.address = address});
    member->channel = Connect(address);
    member->kv = etcdserverpb::KV::NewStub(member->channel);
    member->watch = etcdserverpb::Watch::NewStub(member->channel);
    member->lease = etcdserverpb::Lease::NewStub(member->channel);
    members_.push_back(std::move(member));
  }
}

EtcdCalls::Member& EtcdCalls::member() {
  for (size_t tried = 0; tried < members_.size() && Failing(*members_[current_]); ++tried) {
    current_ = (current_ + 1) % members_.size();
  }
  return *members_[current_];
}

void EtcdCalls::Lost(const Member& member) {
  if (members_[current_].get() == &member) current_ = (current_ + 1) % members_.size();
}

template <typename Request, typename Response, typename Start>
void EtcdCalls::Call(Request request, std::function<void(absl::StatusOr<Response>)> done,
                     Start start) {
  auto exchange = std::make_shared<Exchange<Request, Response>>();
  exchange->request = std::move(request);
  DemandLeader(exchange->context);
  // As a span: nobody's setting of the date can lengthen it.
  exchange->context.set_deadline(gpr_time_from_millis(
      static_cast<int64_t>(absl::ToInt64Milliseconds(kEtcdCallTimeout)), GPR_TIMESPAN));
  Member& asked = member();
  contexts_.insert(&exchange->context);
  start(asked, exchange->context, exchange->request, exchange->response,
        [this, exchange, &asked, done = std::move(done)](const grpc::Status& status) {
          loop_.Post([this, exchange, &asked, done, status] {
            contexts_.erase(&exchange->context);
            if (status.ok()) {
              done(std::move(exchange->response));
            } else {
              done(FromEtcd(status, asked.address));
            }
          });
        });
}

void EtcdCalls::Txn(etcdserverpb::TxnRequest request,
                    std::function<void(absl::StatusOr<etcdserverpb::TxnResponse>)> done) {
  Call(std::move(request), std::move(done),
       [](Member& member, auto& context, auto& asked, auto& answer, auto then) {
         member.kv->async()->Txn(&context, &asked, &answer, std::move(then));
       });
}

void EtcdCalls::Range(etcdserverpb::RangeRequest request,
                      std::function<void(absl::StatusOr<etcdserverpb::RangeResponse>)> done) {
  Call(std::move(request), std::move(done),
       [](Member& member, auto& context, auto& asked, auto& answer, auto then) {
         member.kv->async()->Range(&context, &asked, &answer, std::move(then));
       });
}

void EtcdCalls::Grant(etcdserverpb::LeaseGrantRequest request,
                      std::function<void(absl::StatusOr<etcdserverpb::LeaseGrantResponse>)> done) {
  Call(std::move(request), std::move(done),
       [](Member& member, auto& context, auto& asked, auto& answer, auto then) {
         member.lease->async()->LeaseGrant(&context, &asked, &answer, std::move(then));
       });
}

void EtcdCalls::Revoke(
    etcdserverpb::LeaseRevokeRequest request,
    std::function<void(absl::StatusOr<etcdserverpb::LeaseRevokeResponse>)> done) {
  Call(std::move(request), std::move(done),
       [](Member& member, auto& context, auto& asked, auto& answer, auto then) {
         member.lease->async()->LeaseRevoke(&context, &asked, &answer, std::move(then));
       });
}

void EtcdCalls::Cancel() {
  for (grpc::ClientContext* context : contexts_) context->TryCancel();
}

}  // namespace torchfleet::registry
