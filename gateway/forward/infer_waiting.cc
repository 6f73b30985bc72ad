#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/grpc_status.h"
#include "base/status.h"
#include "gateway/forward/infer_call.h"
#include "gateway/forward/pushback.h"
#include "net/grpc/message_reader.h"
#include "wire/parameter_scan.h"

// What the calls of a loop share, and how they wait for a worker to have room.

namespace torchfleet::gateway {
namespace {

// By the parameter `priority` of a request: 1 first, those without one last.
uint32_t Urgency(std::string_view body) {
  constexpr uint32_t kLast = 1 << 20;
  const auto text = body.size() < net::kGrpcPrefixSize
                        ? std::nullopt
                        : wire::FindParameter(body.substr(net::kGrpcPrefixSize), "priority");
  uint32_t priority = 0;
  if (!text || !absl::SimpleAtoi(*text, &priority) || priority == 0) return kLast;
  return std::min(priority, kLast);
}

// A worker that owes a sign of life is pinged, so that a frozen one is noticed
// within kFrozenAfter.
net::Http2Options WorkerOptions() {
  net::Http2Options options;
  options.limits.header_bytes = 64 << 10;
  options.limits.stream_window = 1 << 20;
  options.limits.connection_window = 16 << 20;
  options.times.idle = absl::InfiniteDuration();
  options.times.ping_after = kPingInterval;
  options.times.ping_answer = kFrozenAfter - kPingInterval;
  return options;
}

}  // namespace

InferCallPool::InferCallPool(net::Loop& loop, size_t index, const InferContext& context,
                             AccessLogLines& log)
    : loop_(loop),
      index_(index),
      fleet_(context.fleet),
      groups_(context.backends.table(), context.zone),
      calls_(context.calls.table()),
      other_calls_(*context.calls.other()),
      quarantine_(context.quarantine),
      trials_(context.trials.table()),
      log_(log),
      room_timer_(loop, [this] { MindRooms(); }),
      links_(loop, WorkerOptions()) {}

// Nothing ever leaves the table.
ModelCalls& InferCallPool::CallsOf(std::string_view model) {
  const ModelCallsTable::Table& table = *calls_.Get();
  const auto found = table.find(model);
  return found == table.end() ? other_calls_ : *found->second;
}

InferCall& InferCallPool::Take(net::Stream& caller, CallRecord* outer) {
  InferCall& call = free_.Take(*this);
  call.Begin(caller, outer);
  return call;
}

void InferCallPool::Watch(ModelCalls& calls) {
  if (std::find(crowded_.begin(), crowded_.end(), &calls) == crowded_.end()) {
    crowded_.push_back(&calls);
  }
  if (!room_timer_.running()) room_timer_.Start(kMindEvery);
}

void InferCallPool::LetIn(ModelCalls& calls) {
  // A call that goes in and ends at once leaves its place to whoever is next here.
  if (letting_in_) return;
  letting_in_ = true;
  InferCall* next = nullptr;
  while ((next = calls.of(index_).room().First()) != nullptr && next->LetIn()) {
  }
  letting_in_ = false;
}

void InferCallPool::MindRooms() {
  for (size_t i = 0; i < crowded_.size(); ++i) {
    ModelCalls& calls = *crowded_[i];
    LetIn(calls);
    while (InferCall* const overdue = calls.of(index_).room().Overdue(loop_.now())) {
      calls.waiting().GiveBack();
      overdue->TurnAway();
    }
  }
  std::erase_if(crowded_, [&](ModelCalls* calls) { return calls->of(index_).room().empty(); });
  if (!crowded_.empty()) room_timer_.Start(kMindEvery);
}

bool InferCall::LetIn() {
  if (!Admit()) return false;
  if (Choose().full) {
    GiveBackPlace();
    return false;
  }
  calls_->of(pool_.index_).room().Leave(*this);
  calls_->waiting().GiveBack();
  EndWait();
  kept_.Expect(head_.body_size());
  Start();
  return true;
}

bool InferCall::Admit() {
  const uint32_t most = route_->calls.most_in_flight();
  if (most == 0 || admitted_) return true;
  admitted_ = calls_->under_way().Take(most);
  return admitted_;
}

bool InferCall::GiveBackPlace() {
  if (!std::exchange(admitted_, false)) return false;
  calls_->under_way().GiveBack();
  return true;
}

void InferCall::TurnAway() {
  EndWait();
  Refuse();
}

void InferCall::EndWait() {
  waiting_ = false;
  calls_->of(pool_.index_).Waited(pool_.loop_.now() - waiting_since_);
}

void InferCall::Launch() {
  // Those that wait come first, also when the place was left by another loop's call.
  if (route_->calls.most_in_flight() > 0) pool_.LetIn(*calls_);
  Start();
}

void InferCall::Start() {
  if (!Admit()) return Wait();
  const BalanceChoice choice = Choose();
  if (choice.full) return Wait();
  if (!choice.index || !Try(At(choice), /*hedge=*/false)) {
    AttemptFailed(nullptr, {absl::StatusCode::kUnavailable, ""}, FailureSource::kNeverSent,
                  nullptr);
  }
}

void InferCall::Wait() {
  calls_->Count(ModelCalls::Rescue::kWaited);
  GiveBackPlace();
  waiting_ = true;
  waiting_since_ = pool_.loop_.now();
  kept_.KeepAll();
  const CallRules& rules = route_->calls;
  // Whoever has to go for this call leaves it the place.
  InferCall* const shown_out = calls_->of(pool_.index_)
                                   .room()
                                   .Enter(*this,
                                          {.urgency = Urgency(kept_.Copy()),
                                           .patience = rules.patience(),
                                           .full = !calls_->waiting().Take(rules.most_waiting())},
                                          pool_.loop_.now());
  pool_.Watch(*calls_);
  if (shown_out) shown_out->TurnAway();
}

void InferCall::Refuse() {
  calls_->Count(ModelCalls::Rescue::kRefusal);
  pool_.pushback_.Clear();
  pool_.pushback_.Add(kPushbackHeader, fmt::format("{}", absl::ToInt64Milliseconds(kRetryDelay)));
  const grpc::Status status = ToGrpc(
      WithRetryDelay(absl::UnavailableError(fmt::format(
                         "{} '{}' has as many calls as it {}; try again later",
                         route_->calls.most_in_flight() == 0 ? "every worker of model" : "model",
                         Clip(record_->model),
                         route_->calls.most_in_flight() == 0 ? "can answer in time" : "may have")),
                     kRetryDelay));
  Finish(net::GrpcStatus{.code = absl::StatusCode::kUnavailable,
                         .message = status.error_message(),
                         .details = status.error_details()},
         &pool_.pushback_);
}

}  // namespace torchfleet::gateway
