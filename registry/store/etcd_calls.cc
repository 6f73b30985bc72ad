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

constexpr absl::Duration kRest = absl::Milliseconds(50);

// It was refused before anything was done, or never sent.
bool NotDone(const grpc::Status& status) {
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return false;
  const std::string& said = status.error_message();
  return said == "etcdserver: no leader" || said.starts_with("failed to connect");
}

}  // namespace

// A call over all of its tries.
template <typename Request, typename Response, typename Start>
struct EtcdCalls::Exchange {
  Request request;
  Repeat repeat;
  std::function<void(absl::StatusOr<Response>)> done;
  Start start;
  Instant limit;
  // Of the latest try.
  std::unique_ptr<grpc::ClientContext> context = nullptr;
  Response response = {};
};

void DemandLeader(grpc::ClientContext& context) { context.AddMetadata("hasleader", "true"); }

EtcdCalls::EtcdCalls(TaskLoop& loop, const Clock& clock, const std::vector<std::string>& members)
    : loop_(loop), clock_(clock) {
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
void EtcdCalls::Call(Request request, Repeat repeat,
                     std::function<void(absl::StatusOr<Response>)> done, Start start) {
  using Made = Exchange<Request, Response, Start>;
  Try(std::make_shared<Made>(Made{.request = std::move(request),
                                  .repeat = repeat,
                                  .done = std::move(done),
                                  .start = start,
                                  .limit = clock_.Now() + kEtcdCallTimeout}));
}

template <typename Request, typename Response, typename Start>
void EtcdCalls::Try(std::shared_ptr<Exchange<Request, Response, Start>> exchange) {
  exchange->context = std::make_unique<grpc::ClientContext>();
  grpc::ClientContext& context = *exchange->context;
  DemandLeader(context);
  // As a span: nobody's setting of the date can lengthen it.
  const absl::Duration left = exchange->limit - clock_.Now();
  context.set_deadline(gpr_time_from_millis(absl::ToInt64Milliseconds(left), GPR_TIMESPAN));
  Member& asked = member();
  contexts_.insert(&context);
  const auto on_end = [this, exchange, &asked](const grpc::Status& status) {
    contexts_.erase(exchange->context.get());
    if (status.ok()) return exchange->done(std::move(exchange->response));
    const absl::Status error = FromEtcd(status, asked.address);
    const bool again =
        NotDone(status) || (exchange->repeat == Repeat::kAlways && absl::IsUnavailable(error));
    if (cancelled_ || !again || exchange->limit - clock_.Now() < 2 * kRest) {
      return exchange->done(error);
    }
    Lost(asked);
    ++resting_;
    loop_.After(kRest, [this, exchange, error] {
      --resting_;
      if (cancelled_) return exchange->done(error);
      Try(exchange);
    });
  };
  exchange->start(asked, context, exchange->request, exchange->response,
                  [this, on_end](const grpc::Status& status) {
                    loop_.Post([on_end, status] { on_end(status); });
                  });
}

void EtcdCalls::Txn(etcdserverpb::TxnRequest request,
                    std::function<void(absl::StatusOr<etcdserverpb::TxnResponse>)> done) {
  Call(std::move(request), Repeat::kIfNotDone, std::move(done),
       [](Member& member, auto& context, auto& asked, auto& answer, auto then) {
         member.kv->async()->Txn(&context, &asked, &answer, std::move(then));
       });
}

void EtcdCalls::Range(etcdserverpb::RangeRequest request,
                      std::function<void(absl::StatusOr<etcdserverpb::RangeResponse>)> done) {
  Call(std::move(request), Repeat::kAlways, std::move(done),
       [](Member& member, auto& context, auto& asked, auto& answer, auto then) {
         member.kv->async()->Range(&context, &asked, &answer, std::move(then));
       });
}

void EtcdCalls::Grant(etcdserverpb::LeaseGrantRequest request,
                      std::function<void(absl::StatusOr<etcdserverpb::LeaseGrantResponse>)> done) {
  Call(std::move(request), Repeat::kAlways, std::move(done),
       [](Member& member, auto& context, auto& asked, auto& answer, auto then) {
         member.lease->async()->LeaseGrant(&context, &asked, &answer, std::move(then));
       });
}

void EtcdCalls::Revoke(
    etcdserverpb::LeaseRevokeRequest request,
    std::function<void(absl::StatusOr<etcdserverpb::LeaseRevokeResponse>)> done) {
  Call(std::move(request), Repeat::kIfNotDone, std::move(done),
       [](Member& member, auto& context, auto& asked, auto& answer, auto then) {
         member.lease->async()->LeaseRevoke(&context, &asked, &answer, std::move(then));
       });
}

void EtcdCalls::Cancel() {
  cancelled_ = true;
  for (grpc::ClientContext* context : contexts_) context->TryCancel();
}

}  // namespace torchfleet::registry
