#include "gateway/edge/statistics_call.h"

#include <algorithm>
#include <chrono>

#include "base/grpc_status.h"
#include "base/status.h"
#include "gateway/edge/raw_message.h"
#include "gateway/route/route_policy.h"

namespace torchfleet::gateway {
namespace {

constexpr char kMethod[] = "/inference.GRPCInferenceService/ModelStatistics";
// For a worker's answer.
constexpr std::chrono::seconds kLongest(2);

void Add(const inference::StatisticDuration& from, inference::StatisticDuration& to) {
  to.set_count(to.count() + from.count());
  to.set_ns(to.ns() + from.ns());
}

void Add(const inference::InferStatistics& from, inference::InferStatistics& to) {
  Add(from.success(), *to.mutable_success());
  Add(from.fail(), *to.mutable_fail());
  Add(from.queue(), *to.mutable_queue());
  Add(from.compute_input(), *to.mutable_compute_input());
  Add(from.compute_infer(), *to.mutable_compute_infer());
  Add(from.compute_output(), *to.mutable_compute_output());
  Add(from.cache_hit(), *to.mutable_cache_hit());
  Add(from.cache_miss(), *to.mutable_cache_miss());
}

void Add(const inference::InferBatchStatistics& from, inference::InferBatchStatistics& to) {
  Add(from.compute_input(), *to.mutable_compute_input());
  Add(from.compute_infer(), *to.mutable_compute_infer());
  Add(from.compute_output(), *to.mutable_compute_output());
}

// The element that `is_it` finds, or a new one.
template <typename Elements, typename IsIt>
auto& FindOrAdd(Elements& elements, IsIt is_it) {
  const auto found = std::find_if(elements.begin(), elements.end(), is_it);
  return found == elements.end() ? *elements.Add() : *found;
}

void Add(const inference::ModelStatistics& from, inference::ModelStatistics& to) {
  to.set_name(from.name());
  to.set_version(from.version());
  to.set_last_inference(std::max(to.last_inference(), from.last_inference()));
  to.set_inference_count(to.inference_count() + from.inference_count());
  to.set_execution_count(to.execution_count() + from.execution_count());
  Add(from.inference_stats(), *to.mutable_inference_stats());
  for (const auto& batch : from.batch_stats()) {
    auto& sum = FindOrAdd(*to.mutable_batch_stats(), [&](const auto& other) {
      return other.batch_size() == batch.batch_size();
    });
    sum.set_batch_size(batch.batch_size());
    Add(batch, sum);
  }
}

}  // namespace

void AddStatistics(const inference::ModelStatisticsResponse& from,
                   inference::ModelStatisticsResponse& to) {
  for (const auto& model : from.model_stats()) {
    Add(model, FindOrAdd(*to.mutable_model_stats(), [&](const auto& other) {
          return other.name() == model.name() && other.version() == model.version();
        }));
  }
}

std::vector<std::string> WorkersOf(const FleetSnapshot& fleet, const std::string& model,
                                   const std::string& version) {
  std::vector<std::string> workers;
  for (const auto& [name, served] : fleet.models) {
    if (!model.empty() && name != model) continue;
    for (const auto& [number, endpoints] : served->versions) {
      if (!version.empty() && number != version) continue;
      workers.insert(workers.end(), endpoints->ready.begin(), endpoints->ready.end());
    }
  }
  return workers;
}

StatisticsCall::StatisticsCall(const std::vector<std::string>& workers,
                               const BackendTable& backends, grpc::ByteBuffer* response)
    : response_(response) {
  const auto table = backends.Get();
  for (const std::string& address : workers) {
    const auto found = table->find(address);
    if (found == table->end()) continue;  // it has left since
    questions_.push_back(std::make_unique<Question>());
    Question& question = *questions_.back();
    question.backend = found->second;
    question.context.set_deadline(std::chrono::system_clock::now() + kLongest);
    WriteMessage(inference::ModelStatisticsRequest(), question.request);
  }
  open_ = questions_.size();
}

void StatisticsCall::Start() {
  if (questions_.empty()) {
    WriteMessage(inference::ModelStatisticsResponse(), *response_);
    return Finish(grpc::Status::OK);
  }
  // The last answer may come before this loop ends, and delete this.
  std::vector<Question*> all;
  for (const auto& question : questions_) all.push_back(question.get());
  for (Question* question : all) {
    question->backend->stub().UnaryCall(
        &question->context, kMethod, grpc::StubOptions(), &question->request, &question->reply,
        [this, question](grpc::Status status) { OnAnswer(*question, status); });
  }
}

void StatisticsCall::OnAnswer(Question& question, const grpc::Status& status) {
  inference::ModelStatisticsResponse answer;
  const bool answered = status.ok() && ParseMessage(question.reply, answer).ok();
  bool any;
  {
    const std::lock_guard lock(mu_);
    if (answered) AddStatistics(answer, sum_);
    answered_ += answered;
    if (--open_ > 0) return;
    any = answered_ > 0;
    WriteMessage(sum_, *response_);
  }
  if (any) return Finish(grpc::Status::OK);
  Finish(ToGrpc(
      WithRetryDelay(absl::UnavailableError("no worker answered; try again later"), kRetryDelay)));
}

}  // namespace torchfleet::gateway
