#pragma once
// Renews leases: all of them on one stream to one member.
//
// A renewal that a broken stream left unanswered goes out again on the next one:
// twice does no harm. One that is unanswered for kEtcdCallTimeout ends as
// UNAVAILABLE.
//
//   no stream ─ Renew ─► open ─ breaks ─► no stream ─ 100 ms, if any waits ─► open
//
// Lifecycle: Stop before destruction, then idle() must come true.
// Lives on the borrowed loop; borrows the calls, whose member it uses, and the
//   clock.

#include <deque>
#include <functional>
#include <memory>

#include "registry/store/etcd_calls.h"
#include "registry/store/loop_stream.h"

namespace torchfleet::registry {

class EtcdKeepAlive {
 public:
  using Done = std::function<void(absl::Status)>;

  EtcdKeepAlive(TaskLoop& loop, EtcdCalls& calls, const Clock& clock)
      : loop_(loop), calls_(calls), clock_(clock) {}

  // NOT_FOUND when the lease has ended.
  void Renew(LeaseId lease, Done done);
  // To another member, if the calls go to another one by now.
  void Move();

  // Renewals that wait get CANCELLED.
  void Stop();
  bool idle() const { return stream_ == nullptr; }

 private:
  using Stream =
      LoopStream<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>;
  struct Renewal {
    LeaseId lease = 0;
    Instant since = {};
    Done done = nullptr;
  };

  void Open();
  void Ask(LeaseId lease);
  void OnAnswer(const etcdserverpb::LeaseKeepAliveResponse& answer);
  void OnEnd(const absl::Status& status);
  // Looks for renewals that wait too long, as long as any waits.
  void Watch();

  TaskLoop& loop_;
  EtcdCalls& calls_;
  const Clock& clock_;
  std::shared_ptr<Stream> stream_;
  const EtcdCalls::Member* member_ = nullptr;
  // In the order in which they were asked, which is that of the answers.
  std::deque<Renewal> waiting_;
  absl::Status last_error_;
  bool watching_ = false;
  bool stopping_ = false;
};

}  // namespace torchfleet::registry
