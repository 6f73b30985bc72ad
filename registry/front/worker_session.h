#pragma once
// One worker's lease, from its registration on one stream until that stream
// ends, kept in the store.
//
//   Register ─► registered ──Renew──► registered
//                   ├── Leave ──────────────────► left: its keys are gone
//                   ├── stream ends ────────────► marked disconnected; the
//                   │                             lease runs on
//                   └── stream ends after FAILED ► stays to be seen for a while
//
// Registered means: a lease of the store's with workers/<id>, conditions/<id>
// and loads/<id> on it; the epoch is the revision of that commit, and whatever
// is written later demands that workers/<id> is still at it. So of two
// registrations of a worker the later one holds, whichever registry it came to.
//
// Kept alive by its stream and by the store's callbacks. One Ask at a time, and
// StreamEnded after the last one's answer; PushDrain is thread-safe.

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "registry/front/load_writer.h"
#include "registry/store/store.h"
#include "registry/watch/fleet.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::registry {

class Sessions;

class WorkerSession : public std::enable_shared_from_this<WorkerSession> {
 public:
  using Answer = std::function<void(absl::StatusOr<v1::AnnounceResponse>)>;
  using Push = std::function<void(const v1::AnnounceResponse&)>;

  // `push` sends what answers nothing; callable as long as the session is.
  WorkerSession(Sessions& sessions, Push push);

  // The worker's next word. An error ends the stream.
  void Ask(const v1::AnnounceRequest& request, Answer answer);
  void StreamEnded();
  // Tells the worker to drain, once.
  void PushDrain(const v1::DrainRequest& wish);

 private:
  // What the store has of it, or shall have.
  struct Condition {
    Value condition, load;
    v1::WorkerState state = v1::WORKER_STATE_UNSPECIFIED;
  };

  void Register(const v1::AnnounceRequest::Register& registration, Answer answer);
  void CommitRegistration(const Answer& answer);
  void Registered(uint64_t epoch, const Answer& answer);
  void Renew(const v1::AnnounceRequest::Renew& renew, Answer answer);
  void WriteChanges(const Condition& now, const Answer& answer);
  void Leave(const v1::AnnounceRequest::Leave& leave, Answer answer);
  void CommitLeave(const std::string& reason, LeaseId left_lease, const Answer& answer);
  void StayFailed();

  absl::Status CheckEpoch(uint64_t epoch) const;
  // What the store's refusal means to the worker.
  absl::Status Refusal(const absl::Status& status) const;
  Transaction OnMyEpoch() const;
  template <typename Said>
  v1::WatchResponse::Condition ConditionOf(const Said& said) const;
  Value Disconnected() const;

  Sessions& sessions_;
  const Push push_;
  std::string worker_id_;
  Value worker_;
  Condition written_;
  LeaseId lease_ = 0;
  uint64_t epoch_ = 0;
  bool left_ = false;
  std::atomic<bool> answered_ = false;
  std::atomic<bool> told_to_drain_ = false;
};

}  // namespace torchfleet::registry
