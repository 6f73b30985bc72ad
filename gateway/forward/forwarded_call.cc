#include "gateway/forward/forwarded_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "base/grpc_status.h"
#include "base/status.h"
#include "gateway/balance/balance_policy.h"
#include "gateway/forward/metadata.h"
#include "gateway/forward/random.h"
#include "gateway/forward/retry_policy.h"
#include "wire/caller.h"

namespace torchfleet::gateway {
namespace {

AttemptFailure Failure(const grpc::Status& status, bool answered) {
  return {.code = static_cast<absl::StatusCode>(status.error_code()),
          .source = answered ? FailureSource::kWorker : FailureSource::kBroken};
}

// A worker that is not ours may have much to say.
grpc::Status Cut(const grpc::Status& status) {
  if (status.error_message().size() <= kMaxErrorText) return status;
  return grpc::Status(status.error_code(), Clip(status.error_message(), kMaxErrorText),
                      status.error_details());
}

}  // namespace

class ForwardedCall::Attempt final : public grpc::ClientUnaryReactor {
 public:
  Attempt(ForwardedCall& call, std::shared_ptr<Backend> backend)
      : call_(call),
        backend_(std::move(backend)),
        context_(grpc::ClientContext::FromCallbackServerContext(*call.incoming_.context)) {}

  void Start() {
    CopyRequestMetadata(call_.incoming_.context->client_metadata(), *context_);
    if (const Route& route = call_.plan_.route; route.redirected) {
      context_->AddMetadata(wire::kRouteHeader, fmt::format("{}/{}", route.model, route.version));
    }
    backend_->health().Begin(0);
    backend_->stub().PrepareUnaryCall(context_.get(), call_.plan_.method, {},
                                      call_.incoming_.request, &reply_, this);
    StartCall();
  }

  void OnReadInitialMetadataDone(bool ok) override { has_initial_metadata_ = ok; }

  void OnDone(const grpc::Status& status) override {
    backend_->health().End(0);
    const bool answered = WorkerAnswered(status);
    if (answered) {
      backend_->health().Spoke();
    } else if (RetryPolicy::IsConnectionFailure(Failure(status, answered))) {
      backend_->health().Lost(call_.clock_.Now());
    }
    call_.AttemptDone(status, answered);  // may delete this
  }

  grpc::ByteBuffer& reply() { return reply_; }

  void CopyMetadata() {
    auto& context = *call_.incoming_.context;
    if (has_initial_metadata_) {
      CopyInitialMetadata(context_->GetServerInitialMetadata(), context);
    }
    CopyTrailingMetadata(context_->GetServerTrailingMetadata(), context);
  }

 private:
  // Whether the worker sent the status, not our side of the connection.
  //
  // gRPC does not say, and its own texts for a broken connection name
  // addresses. A worker's UNAVAILABLE carries details or metadata, such as when
  // to try again; a bare one passes for a broken connection. For other codes
  // gRPC's account of the error begins with who sent it.
  bool WorkerAnswered(const grpc::Status& status) const {
    if (status.ok()) return true;
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      return !status.error_details().empty() || !context_->GetServerTrailingMetadata().empty();
    }
    const std::string account = context_->debug_error_string();
    const std::string_view head = std::string_view(account).substr(0, account.find('{'));
    return head.find("Error received from peer") != std::string_view::npos;
  }

  ForwardedCall& call_;
  const std::shared_ptr<Backend> backend_;
  const std::unique_ptr<grpc::ClientContext> context_;
  grpc::ByteBuffer reply_;
  bool has_initial_metadata_ = false;
};

ForwardedCall::ForwardedCall(const IncomingCall& incoming, ForwardPlan plan,
                             const BackendTable& backends, const Clock& clock)
    : incoming_(incoming), plan_(std::move(plan)), backends_(backends.Get()), clock_(clock) {}

ForwardedCall::~ForwardedCall() = default;

void ForwardedCall::Start() {
  plan_.calls->budget().Deposit();
  if (auto backend = ChooseBackend()) {
    Try(std::move(backend));
  } else {
    End(StatusForCaller(grpc::Status(grpc::StatusCode::UNAVAILABLE, ""), /*answered=*/false));
  }
}

std::shared_ptr<Backend> ForwardedCall::ChooseBackend() {
  const Instant now = clock_.Now();
  absl::InlinedVector<const std::shared_ptr<Backend>*, 8> backends;
  for (const std::string& address : plan_.route.addresses) {
    const auto found = backends_->find(address);
    // It has left since this call was routed.
    if (found != backends_->end()) backends.push_back(&found->second);
  }
  const auto choice = BalancePolicy::Choose(backends.size(), Random(), [&](size_t i) {
    const auto& backend = *backends[i];
    BalanceCandidate candidate = backend->health().Candidate(now);
    // No model runs for these calls: no worker is too busy for one.
    candidate.full = false;
    candidate.tried = std::find(tried_.begin(), tried_.end(), backend) != tried_.end();
    return candidate;
  });
  return choice.index ? *backends[*choice.index] : nullptr;
}

void ForwardedCall::Try(std::shared_ptr<Backend> backend) {
  tried_.push_back(backend);
  attempt_ = std::make_unique<Attempt>(*this, std::move(backend));
  attempt_->Start();
}

void ForwardedCall::AttemptDone(const grpc::Status& status, bool answered) {
  if (status.ok()) return Succeed();
  if (TryAnother(status, answered)) return;
  attempt_->CopyMetadata();
  End(StatusForCaller(status, answered));
}

bool ForwardedCall::TryAnother(const grpc::Status& status, bool answered) {
  if (!RetryPolicy::MayTryAnother(Failure(status, answered))) return false;
  if (tried_.size() >= kMaxAttempts || cancelled_.load(std::memory_order_relaxed)) return false;
  // gRPC tells a call's deadline by the wall clock.
  if (std::chrono::system_clock::now() >= incoming_.context->deadline()) return false;
  auto backend = ChooseBackend();
  if (!backend || !plan_.calls->budget().Withdraw(clock_.Now())) return false;
  plan_.calls->Count(ModelCalls::Rescue::kRetry);
  Try(std::move(backend));
  return true;
}

void ForwardedCall::Succeed() {
  if (plan_.edit_reply) {
    if (const absl::Status edited = plan_.edit_reply(attempt_->reply()); !edited.ok()) {
      return End(ToGrpc(edited));
    }
  }
  incoming_.response->Swap(&attempt_->reply());
  attempt_->CopyMetadata();
  End(grpc::Status::OK);
}

grpc::Status ForwardedCall::StatusForCaller(const grpc::Status& status, bool answered) const {
  if (answered) {
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return Cut(status);
    const absl::Status unavailable = FromGrpc(status);
    // Details that the worker gave stand.
    if (RetryDelay(unavailable)) return Cut(status);
    return ToGrpc(WithRetryDelay(unavailable, kRetryDelay));
  }
  // gRPC's own texts name addresses.
  const std::string model = Clip(plan_.model);
  if (status.error_code() == grpc::StatusCode::CANCELLED) {
    return grpc::Status(status.error_code(), "the caller cancelled the call");
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return grpc::Status(
        status.error_code(),
        fmt::format("the deadline passed before a worker of model '{}' answered", model));
  }
  if (RetryPolicy::IsConnectionFailure(Failure(status, answered))) {
    return ToGrpc(WithRetryDelay(absl::UnavailableError(fmt::format(
                                     "no worker of model '{}' answered; try again later", model)),
                                 kRetryDelay));
  }
  return grpc::Status(status.error_code(),
                      fmt::format("the call to a worker of model '{}' failed", model));
}

void ForwardedCall::End(const grpc::Status& status) { Finish(status); }

}  // namespace torchfleet::gateway
