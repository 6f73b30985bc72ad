#pragma once
// One inference call on its way through the gateway: the caller's stream, and a
// worker's stream at a time, or two.
//
//   head ──► (waits for room) ──► attempt ──answer begins──► answering ──► done
//                                   ▲  │ └─ longer than usual: a hedge beside it; whoever answers
//                                   │  │    first is heard, the other given up
//                                   └──┘ failed, and RetryPolicy, budget, a replica and the kept
//                                        request are there
//
// Bytes pass as they come, both ways, and as fast as the slower side takes
// them: what one side has not taken, the other is not allowed to send. The
// caller's deadline is kept here and told to the worker; its going away resets
// the worker's stream.
//
// Lifecycle: Begin for each call; used again once its streams are closed or given
// up. Only on its loop's thread.

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend_group.h"
#include "gateway/forward/kept_request.h"
#include "gateway/forward/model_calls.h"
#include "gateway/forward/quarantine.h"
#include "gateway/forward/request_head.h"
#include "gateway/forward/retry_policy.h"
#include "gateway/forward/shadow_call.h"
#include "gateway/forward/trial_calls.h"
#include "gateway/record/access_log.h"
#include "gateway/record/call_record.h"
#include "gateway/route/route_policy.h"
#include "net/buffer/free_list.h"
#include "net/client/links.h"
#include "net/grpc/status.h"
#include "net/http/stream.h"
#include "net/loop/loop.h"

namespace torchfleet::gateway {

class InferCallPool;

class InferCall final : public net::StreamHandler {
 public:
  explicit InferCall(InferCallPool& pool);

  // `outer`: the record of the call that this one is made for; none, and the
  // call tells of itself.
  void Begin(net::Stream& caller, CallRecord* outer) {
    caller_ = &caller;
    record_ = outer ? outer : &own_record_;
  }

  // While it waits: goes, if there is room; whether there was.
  bool LetIn();
  // It has waited for long enough.
  void TurnAway();

 private:
  // A worker's stream tells this, the caller's the call itself. A stream that was
  // given up may tell something yet, when this is another's already.
  struct Attempt final : net::StreamHandler {
    explicit Attempt(InferCall& owner) : call(owner) {}
    void OnHeaders(net::Stream& from, bool end) override;
    void OnBody(net::Stream& from, const net::Slice& bytes) override;
    void OnEnd(net::Stream& from) override;
    void OnSent(net::Stream& from, size_t count) override;
    void OnClosed(net::Stream& from, net::CloseCode code) override;
    // Nobody waits for its answer yet to come.
    bool over() const { return !backend; }

    InferCall& call;
    net::Stream* stream = nullptr;
    std::shared_ptr<Backend> backend;  // until it is over
    Instant began;                     // it had the whole request
    bool hedge = false;
    bool died = false;  // its connection broke while it waited
  };

  void OnHeaders(net::Stream& stream, bool end) override;
  void OnBody(net::Stream& stream, const net::Slice& bytes) override;
  void OnEnd(net::Stream& stream) override;
  void OnSent(net::Stream& stream, size_t count) override;
  void OnClosed(net::Stream& stream, net::CloseCode code) override;

  void Route(const absl::StatusOr<wire::InferRequestHead>& head, const net::Slice& bytes);
  BalanceChoice Choose() const;
  const std::shared_ptr<Backend>& At(const BalanceChoice& choice) const {
    return group_->backends[*choice.index];
  }
  // False when there is no connection to it at all.
  bool Try(const std::shared_ptr<Backend>& backend, bool hedge);
  // The request is whole, and an attempt has it.
  void Await(Attempt& attempt);
  // There is no answer although there usually would be one by now.
  void Hedge();
  // The attempt is over, however its stream goes on.
  void LetGo(Attempt& attempt);
  // It is over, and nobody wants its stream.
  void GiveUp(Attempt& attempt);
  static void GiveUpStream(Attempt& attempt);
  void Answered(Attempt& attempt);
  // The request's headers for a worker at `address`. `route`: a kRouteHeader, or
  // empty for what the request itself names.
  void FillHeaders(const net::Address& address, absl::Duration timeout, const std::string& route);
  // The answer begins: now the shadow of the route gets its copy.
  void CopyToShadow();
  void AttemptFailed(Attempt* attempt, const net::GrpcStatus& status, FailureSource source,
                     const net::Headers* trailers);
  void TakeReport(Attempt& attempt, const net::Headers& trailers);
  void TellHealth(EndpointHealth& health, const AttemptFailure& failure, absl::Duration pause);
  bool TryAnother(const AttemptFailure& failure);
  // The first attempt, or a place in the waiting room.
  void Launch();
  void Start();
  // Whether it may be under way: as a limit of its model's calls says, if there is one.
  bool Admit();
  // It is not under way any more; whether a limit counted it.
  bool GiveBackPlace();
  // Every worker, or the model, has as many calls as it is to have.
  void Wait();
  // It waits no more, and has left the room.
  void EndWait();
  void Refuse();
  // The request is whole, and something is in quarantine: perhaps this.
  void Inspect();
  // Whether the request has killed a second worker with this attempt; kFree if not.
  Quarantine::Verdict HasKilledTwo(const Attempt& attempt);
  void FinishQuarantined(Quarantine::Verdict verdict);
  net::GrpcStatus StatusForCaller(const net::GrpcStatus& status, FailureSource source) const;
  void Finish(const absl::Status& status);
  void Finish(const net::GrpcStatus& status, const net::Headers* trailers);
  void Count(absl::StatusCode code);
  // Its rule has a canary: it counts for that or for the targets beside it.
  void JoinTrial(const TrialSide& side);
  void CountForTrial(absl::StatusCode code, absl::Duration duration);
  void RecycleWhenClosed();

  InferCallPool& pool_;
  std::array<Attempt, 2> attempts_{Attempt(*this), Attempt(*this)};
  Attempt* answering_ = nullptr;  // whose answer the caller reads
  net::Stream* caller_ = nullptr;

  RequestHead head_;
  KeptRequest kept_;
  std::shared_ptr<const FleetSnapshot> fleet_;  // keeps what route_ borrows
  std::optional<gateway::Route> route_;
  std::shared_ptr<const BackendGroup> group_;
  std::optional<StickyKey> key_;
  ModelCalls* calls_ = nullptr;
  ShadowCall* shadow_ = nullptr;                     // a copy that compares this call's answer
  std::shared_ptr<const TrialTable::Table> trials_;  // keeps what trial_ is of
  TrialCalls::Counts* trial_ = nullptr;              // where it counts for a canary
  CallRecord own_record_;
  CallRecord* record_ = nullptr;
  CallIds ids_;
  std::vector<const Backend*> tried_;
  Instant began_;
  Instant waiting_since_;
  Instant deadline_ = Instant::Infinite();
  net::Timer timer_;
  net::Timer hedge_timer_;
  bool held_ = false;                // until the request is whole
  bool waiting_ = false;             // in the waiting room
  bool admitted_ = false;            // counted among those under way
  std::optional<uint64_t> suspect_;  // its fingerprint, when a worker died of it
  bool caller_ended_ = false;
  bool finished_ = false;  // the caller has been sent the end
  size_t unconsumed_ = 0;  // of the caller's bytes, not passed on yet
  uint64_t bytes_in_ = 0, bytes_out_ = 0;
};

// What all inference calls share. Outlives them.
struct InferContext {
  const Snapshot<FleetSnapshot>& fleet;
  const BackendTable& backends;
  const ModelCallsTable& calls;
  Quarantine& quarantine;
  const TrialTable& trials;
  // Where this gateway is; workers there come first. Empty: not said.
  std::string zone = {};
};

// The calls of one loop and what they need.
class InferCallPool {
 public:
  // `index`: which loop of all it is, from 0.
  InferCallPool(net::Loop& loop, size_t index, const InferContext& context, AccessLogLines& log);

  InferCall& Take(net::Stream& caller, CallRecord* outer);

 private:
  friend class InferCall;

  static constexpr absl::Duration kMindEvery = absl::Milliseconds(1);

  ModelCalls& CallsOf(std::string_view model);
  // Somebody waits for a worker of the model to have room.
  void Watch(ModelCalls& calls);
  // Somewhere there may be room.
  void LetIn(ModelCalls& calls);
  // Workers have room also when calls of other loops end, and some wait too long.
  void MindRooms();

  net::Loop& loop_;
  const size_t index_;
  // Beside a connection's number, it names a caller among all gateways'.
  const std::string gateway_ = RandomId().substr(0, 8);
  SnapshotView<FleetSnapshot> fleet_;
  BackendGroups groups_;
  SnapshotView<ModelCallsTable::Table> calls_;
  ModelCalls& other_calls_;
  Quarantine& quarantine_;
  SnapshotView<TrialTable::Table> trials_;
  AccessLogLines& log_;
  ShadowCalls shadows_{loop_, index_, links_, groups_};
  net::Headers headers_;
  net::Headers pushback_;
  // Models whose rooms are not empty.
  std::vector<ModelCalls*> crowded_;
  net::Timer room_timer_;
  bool letting_in_ = false;
  net::FreeList<InferCall> free_;
  net::Links links_;  // the first to go: it tells calls and copies of their ends
};

}  // namespace torchfleet::gateway
