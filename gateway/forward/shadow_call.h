#pragma once
// Copies of calls, sent to a shadow: their answers are compared with those that
// the callers got, counted and dropped.
//
// A copy goes when its call's answer has begun, so that it takes nothing from the
// call; it is tried once, has as much time as its call was given, and there are few
// at once. Of what is longer than kMostKept nothing is compared.
//
//   Send ──► copy's answer ends ─┐
//     └────► call's answer ends ─┴──► both have ended: compared, counted, free
//
// Only on their loop's thread.

#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend_group.h"
#include "gateway/forward/kept_request.h"
#include "gateway/forward/model_calls.h"
#include "gateway/route/route_policy.h"
#include "net/buffer/free_list.h"
#include "net/client/links.h"
#include "net/http/stream.h"
#include "net/loop/loop.h"

namespace torchfleet::gateway {

class ShadowCalls;

class ShadowCall final : public net::StreamHandler {
 public:
  explicit ShadowCall(ShadowCalls& pool);

  // The next bytes of the call's answer.
  void CallAnswered(std::string_view bytes);
  // The call has ended: with its whole answer, or there is nothing to compare with.
  // The last that is said to this.
  void CallEnded(bool ok);

 private:
  friend class ShadowCalls;

  // An answer as it comes.
  struct Answer {
    std::string body = {};
    bool too_long = false;
    bool over = false;
    bool ok = false;

    void Add(std::string_view bytes);
    void End(bool well);
    void Clear();
  };

  void OnHeaders(net::Stream& from, bool end) override;
  void OnBody(net::Stream& from, const net::Slice& bytes) override;
  void OnEnd(net::Stream& from) override;
  void OnSent(net::Stream&, size_t) override {}
  void OnClosed(net::Stream& from, net::CloseCode code) override;

  void CopyEnded(bool ok);
  // Nobody needs the copy's answer any more.
  void GiveUpStream();
  void FinishWhenBothEnded();
  bool NothingToCompare() const;
  ModelCalls::Rescue Result() const;

  ShadowCalls& pool_;
  net::Stream* stream_ = nullptr;
  std::shared_ptr<Backend> backend_;
  ModelCalls* calls_ = nullptr;
  Answer call_, copy_;
  net::Timer timer_;
};

// Those of one loop.
class ShadowCalls {
 public:
  static constexpr size_t kMostAtOnce = 32;
  static constexpr size_t kMostKept = 1 << 20;
  static constexpr absl::Duration kMostTime = absl::Seconds(10);

  // Borrows all of it. `index`: which loop it is.
  ShadowCalls(net::Loop& loop, size_t index, net::Links& links, BackendGroups& groups)
      : loop_(loop), index_(index), links_(links), groups_(groups) {}

  // A worker that takes a copy now.
  struct Place {
    Route route;
    std::shared_ptr<Backend> backend;
    net::Http2Connection* link = nullptr;
  };
  // Nothing when there are enough copies already, or the target has no worker with
  // room. `fleet`: kept by the caller for as long as the place.
  std::optional<Place> Find(const FleetSnapshot& fleet, const TrafficTarget& target,
                            uint64_t random);
  // `headers`: the whole request's. Counts in `calls`, which outlives it.
  ShadowCall& Send(const Place& place, const net::Headers& headers, const KeptRequest& request,
                   absl::Duration timeout, ModelCalls& calls);

 private:
  friend class ShadowCall;

  net::Loop& loop_;
  const size_t index_;
  net::Links& links_;
  BackendGroups& groups_;
  size_t running_ = 0;
  net::FreeList<ShadowCall> free_;
};

}  // namespace torchfleet::gateway
