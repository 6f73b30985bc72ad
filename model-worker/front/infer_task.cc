#include "model-worker/front/infer_task.h"

#include <fmt/format.h>

#include <new>
#include <tuple>
#include <utility>

#include "absl/time/clock.h"
#include "base/status.h"
#include "wire/caller.h"

namespace torchfleet::worker {
namespace {

// Smaller ones are not worth counting: they are in what is measured.
constexpr uint64_t kLarge = 64 << 10;

absl::Status NoMemory() {
  return absl::ResourceExhaustedError("the worker's memory does not suffice for this request");
}

}  // namespace

void InferTask::Start(const net::Slice& message, Instant deadline, const CallOrigin& origin) {
  message_ = net::Slice(message);
  terms_.deadline = deadline;
  terms_.caller = origin.caller;
  absl::Status status;
  try {
    status = Admit(origin.route);
    if (status.ok()) status = engine_->scheduler().Push(*this);
  } catch (const std::bad_alloc&) {
    status = NoMemory();
  }
  if (!status.ok()) {
    context_.statistics.Counted(status.code());
    return End(status);
  }
  out_ = true;
  box_.AddOut();
  // The caller's deadline is the call's to mind.
  const Instant expires = WaitingLine::Expires(*this);
  if (expires < deadline) timer_.Start(expires - box_.loop().now());
}

absl::Status InferTask::Admit(std::string_view route) {
  RETURN_IF_ERROR(view_.Parse(message_.bytes()));
  if (!context_.readiness.loaded()) {
    return WithRetryDelay(absl::UnavailableError("the model is still loading"), absl::Seconds(1));
  }
  if (!context_.open_calls.Begin()) {
    return WithRetryDelay(absl::UnavailableError("this worker takes no more calls"),
                          absl::Milliseconds(100));
  }
  counted_open_ = true;
  RETURN_IF_ERROR(CountBytes());
  engine_ = context_.engine.Get();
  spec_ = &engine_->spec();
  return Check(route);
}

absl::Status InferTask::CountBytes() {
  const uint64_t bytes = message_.bytes().size();
  if (bytes < kLarge) return absl::OkStatus();
  if (!context_.memory.Take(bytes)) return NoMemory();
  counted_bytes_ = bytes;
  return absl::OkStatus();
}

absl::Status InferTask::CheckModel(std::string_view route) const {
  const ModelSpec& spec = *spec_;
  std::string_view name = view_.model_name(), version = view_.model_version();
  if (!route.empty()) std::tie(name, version) = wire::ParseRoute(route);
  if (name != spec.name) {
    return absl::NotFoundError(
        fmt::format("model '{}' is not here; this worker serves '{}'", Clip(name), spec.name));
  }
  if (!version.empty() && version != spec.version) {
    return absl::NotFoundError(
        fmt::format("version '{}' of model '{}' is not here; this worker serves version {}",
                    Clip(version), spec.name, spec.version));
  }
  return absl::OkStatus();
}

absl::Status InferTask::Check(std::string_view route) {
  RETURN_IF_ERROR(CheckModel(route));
  const ModelSpec& spec = *spec_;
  ASSIGN_OR_RETURN(tells_final_, TellsFinal(view_));
  RETURN_IF_ERROR(ReadTerms(view_, terms_));
  RETURN_IF_ERROR(CheckCounts(spec, view_.inputs().size(), view_.outputs().size()));
  RETURN_IF_ERROR(DecodeRequest(view_, decoded_));
  ASSIGN_OR_RETURN(checked_, CheckRequest(spec, decoded_.inputs, decoded_.requested_outputs));
  return absl::OkStatus();
}

void InferTask::Answer(absl::StatusOr<std::vector<OutputTensor>> outputs,
                       const RequestTimes& times) {
  context_.statistics.Answered(outputs.status().code(), times, checked_.rows(), absl::Now());
  outputs_ = std::move(outputs);
  box_.Put(*this);
}

void InferTask::Deliver() {
  out_ = false;
  End(std::move(outputs_));
}

void InferTask::Abandon() {
  if (!out_ || !engine_->scheduler().Remove(*this)) return;
  out_ = false;
  box_.DropOut();
  const absl::Status status = terms_.deadline <= context_.clock.Now()
                                  ? absl::DeadlineExceededError("the deadline passed")
                                  : absl::CancelledError("the caller has gone");
  context_.statistics.Counted(status.code());
  End(status);
}

void InferTask::PassTimeout() {
  if (!out_ || !engine_->scheduler().Remove(*this)) return;
  out_ = false;
  box_.DropOut();
  const absl::Status status =
      absl::DeadlineExceededError("the request waited in the queue for as long as it may");
  context_.statistics.Counted(status.code());
  End(status);
}

// The asker may start it again at once.
void InferTask::End(absl::StatusOr<std::vector<OutputTensor>> outputs) {
  timer_.Stop();
  const bool open = std::exchange(counted_open_, false);
  const std::shared_ptr<const Engine> engine = std::move(engine_);
  load_ = {.requests = static_cast<uint32_t>(context_.open_calls.count() - (open ? 1 : 0)),
           .capacity = engine ? RequestsAtOnce(engine->spec()) : 0};
  const net::Slice kept = std::move(message_);
  asker_.OnAnswer(*this, std::move(outputs));
  decoded_.Clear();
  if (counted_bytes_ > 0) context_.memory.Give(std::exchange(counted_bytes_, 0));
  if (open) context_.open_calls.End();
}

}  // namespace torchfleet::worker
