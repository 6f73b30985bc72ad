#include "gateway/edge/model_control_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/time/clock.h"
#include "base/grpc_status.h"
#include "base/status.h"
#include "gateway/edge/raw_message.h"
#include "gateway/route/route_policy.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::gateway {
namespace {

namespace v1 = registry::v1;

constexpr char kLoadMethod[] = "/inference.GRPCInferenceService/RepositoryModelLoad";
// For the registry's answer to one question.
constexpr absl::Duration kRegistryLimit = absl::Seconds(5);
// Somebody else may change the model between our look and our write.
constexpr int kMostWrites = 8;
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(20);

std::string ActorOf(ModelControlCall::Wish wish) {
  return wish == ModelControlCall::Wish::kLoad ? "RepositoryModelLoad" : "RepositoryModelUnload";
}

template <typename Act>
void ForEachEndpoint(const FleetSnapshot& fleet, const std::string& model, Act act) {
  const FleetModel* const found = fleet.Model(model);
  if (!found) return;
  for (const auto& [number, version] : found->versions) {
    for (const auto& [id, endpoint] : version->endpoints) act(*endpoint);
  }
}

}  // namespace

struct ModelControlCall::Question {
  std::shared_ptr<grpc::Channel> channel;
  std::shared_ptr<Backend> backend;
  grpc::ClientContext context;
  grpc::ByteBuffer request, reply;
};

ModelControlCall::ModelControlCall(ModelControl& control, grpc::CallbackServerContext& context,
                                   Wish wish, std::string model)
    : control_(control),
      context_(context),
      wish_(wish),
      model_(std::move(model)),
      limit_(std::min(absl::FromChrono(context.deadline()), absl::Now() + ModelControl::kLongest)) {
  ForEachEndpoint(*control_.fleet_.Get(), model_, [&](const v1::Endpoint& endpoint) {
    if (endpoint.state() == v1::WORKER_STATE_FAILED) failed_before_.insert(endpoint.epoch());
  });
}

std::shared_ptr<ModelControlCall::Question> ModelControlCall::NewQuestion(absl::Time limit) {
  auto question = std::make_shared<Question>();
  question->context.set_deadline(absl::ToChronoTime(limit));
  const std::lock_guard lock(mu_);
  questions_.push_back(question);
  return question;
}

void ModelControlCall::OnCancel() {
  const std::lock_guard lock(mu_);
  for (const auto& question : questions_) question->context.TryCancel();
}

template <typename Request, typename Response, typename Ask, typename Then>
void ModelControlCall::AskRegistry(Ask ask, const Request& request, Response& response, Then then) {
  const auto question = NewQuestion(std::min(limit_, absl::Now() + kRegistryLimit));
  question->channel = control_.Channel();
  auto kept = std::make_shared<Request>(request);
  ask(*question, *kept, response, [this, question, kept, then](grpc::Status status) {
    const absl::Status answer = FromGrpc(status);
    if (absl::IsUnavailable(answer) || absl::IsDeadlineExceeded(answer)) {
      control_.Failed(question->channel);
      // gRPC's own texts name addresses.
      return End(WithRetryDelay(
          absl::UnavailableError("the registry does not answer; try again later"), kRetryDelay));
    }
    then(answer);
  });
}

void ModelControlCall::Look() {
  v1::GetModelRequest request;
  request.set_name(model_);
  AskRegistry(
      [](Question& question, const auto& asked, auto& response, auto done) {
        v1::CatalogueService::Stub stub(question.channel);
        stub.async()->GetModel(&question.context, &asked, &response, std::move(done));
      },
      request, known_, [this](const absl::Status& status) { OnLooked(status); });
}

void ModelControlCall::OnLooked(const absl::Status& status) {
  if (absl::IsNotFound(status) && known_to_workers()) return Carry();
  if (absl::IsNotFound(status)) {
    return End(absl::NotFoundError(fmt::format("there is no model '{}'", Clip(model_))));
  }
  if (!status.ok()) return End(status);
  Write();
}

// Even where the wish stands already: whoever has drained workers of this model
// starts them again for another wish.
void ModelControlCall::Write() {
  v1::UpdateModelRequest request;
  *request.mutable_model() = known_.model();
  request.mutable_model()->mutable_placement()->set_unloaded(wish_ == Wish::kUnload);
  request.set_revision(known_.model().revision());
  request.set_actor(ActorOf(wish_));
  AskRegistry(
      [](Question& question, const auto& asked, auto& response, auto done) {
        v1::CatalogueService::Stub stub(question.channel);
        stub.async()->UpdateModel(&question.context, &asked, &response, std::move(done));
      },
      request, written_, [this](const absl::Status& status) { OnWritten(status); });
}

void ModelControlCall::OnWritten(const absl::Status& status) {
  if (absl::IsAborted(status) && ++writes_ < kMostWrites) return Look();
  if (!status.ok()) return End(status);
  Carry();
}

void ModelControlCall::Carry() {
  if (wish_ == Wish::kUnload) return Drain();
  const std::vector<std::string> workers = ReadyWorkers();
  if (workers.empty()) return Await();
  Reload(workers);
}

void ModelControlCall::Reload(const std::vector<std::string>& workers) {
  inference::RepositoryModelLoadRequest request;
  request.set_model_name(model_);
  const auto table = control_.backends_.Get();
  std::vector<std::shared_ptr<Question>> all;
  for (const std::string& address : workers) {
    const auto found = table->find(address);
    if (found == table->end()) continue;  // it has left since
    all.push_back(NewQuestion(limit_));
    all.back()->backend = found->second;
    WriteMessage(request, all.back()->request);
  }
  if (all.empty()) return Await();
  {
    const std::lock_guard lock(mu_);
    open_ = all.size();
  }
  // The last answer may come before this loop ends, and delete this.
  for (const auto& question : all) {
    question->backend->stub().UnaryCall(&question->context, kLoadMethod, grpc::StubOptions(),
                                        &question->request, &question->reply,
                                        [this](grpc::Status status) { OnReloaded(status); });
  }
}

void ModelControlCall::OnReloaded(const grpc::Status& status) {
  grpc::Status error;
  {
    const std::lock_guard lock(mu_);
    // A worker that went meanwhile has nothing to load.
    if (!status.ok() && status.error_code() != grpc::StatusCode::UNAVAILABLE && first_error_.ok()) {
      first_error_ = status;
    }
    if (--open_ > 0) return;
    error = first_error_;
  }
  if (error.ok()) return Await();
  Finish(grpc::Status(error.error_code(), Clip(error.error_message(), kMaxErrorText),
                      error.error_details()));
}

void ModelControlCall::Drain() {
  v1::DrainRequest request;
  request.set_model(model_);
  request.set_actor(ActorOf(wish_));
  AskRegistry(
      [](Question& question, const auto& asked, auto& response, auto done) {
        v1::RegistryService::Stub stub(question.channel);
        stub.async()->Drain(&question.context, &asked, &response, std::move(done));
      },
      request, drained_, [this](const absl::Status& status) { OnDrained(status); });
}

void ModelControlCall::OnDrained(const absl::Status& status) {
  // Nobody holds a lease: there is nobody to drain.
  if (!status.ok() && !absl::IsNotFound(status)) return End(status);
  Await();
}

void ModelControlCall::Await() {
  const absl::Status outcome = Outcome();
  if (!absl::IsUnavailable(outcome)) return End(outcome);
  if (context_.IsCancelled()) return End(absl::CancelledError("the caller cancelled the call"));
  if (absl::Now() >= limit_) return End(WithRetryDelay(outcome, kRetryDelay));
  // A new one: the last one's function may be the one that runs.
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(absl::ToChronoTime(std::min(limit_, absl::Now() + kBetweenLooks)),
              [this](bool) { Await(); });
}

absl::Status ModelControlCall::Outcome() const {
  const bool ready = !ReadyWorkers().empty();
  if (wish_ == Wish::kUnload) {
    return ready ? absl::UnavailableError(
                       fmt::format("workers of model '{}' still take calls", Clip(model_)))
                 : absl::OkStatus();
  }
  if (ready) return absl::OkStatus();
  absl::Status outcome = absl::UnavailableError(
      fmt::format("no worker of model '{}' has become ready; try again later", Clip(model_)));
  ForEachEndpoint(*control_.fleet_.Get(), model_, [&](const v1::Endpoint& endpoint) {
    if (endpoint.state() != v1::WORKER_STATE_FAILED || failed_before_.contains(endpoint.epoch())) {
      return;
    }
    outcome = absl::FailedPreconditionError(
        fmt::format("version {} of model '{}' cannot be loaded: {}", endpoint.worker().version(),
                    Clip(model_), Clip(endpoint.reason(), kMaxErrorText / 2)));
  });
  return outcome;
}

bool ModelControlCall::known_to_workers() const {
  bool known = false;
  ForEachEndpoint(*control_.fleet_.Get(), model_, [&](const v1::Endpoint&) { known = true; });
  return known;
}

std::vector<std::string> ModelControlCall::ReadyWorkers() const {
  std::vector<std::string> workers;
  ForEachEndpoint(*control_.fleet_.Get(), model_, [&](const v1::Endpoint& endpoint) {
    if (endpoint.state() == v1::WORKER_STATE_READY) workers.push_back(endpoint.worker().address());
  });
  return workers;
}

void ModelControlCall::End(const absl::Status& status) { Finish(ToGrpc(status)); }

}  // namespace torchfleet::gateway
