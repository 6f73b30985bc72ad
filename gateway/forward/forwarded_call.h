#pragma once
// A call about a model (its metadata, say) on its way to a worker and back, by
// gRPC's library: the caller's side is a reactor of the gateway's server, the
// worker's side an attempt at a time. Inference has InferCall.
//
// Lifecycle: made by the edge for each call, Start once; deletes itself when
// gRPC is done with it.
//   Start ──► attempt ──answered──► Finish ──► OnDone
//                ▲  │
//                └──┘ failed, and RetryPolicy, budget and a replica are there
// Deadline and cancellation reach the attempt by gRPC's own propagation from
// the caller's call.
//
// Borrows the backends, the clock, and gRPC's request, response and context.
// Threads: gRPC's, one at a time but for OnCancel.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/backend.h"
#include "gateway/forward/model_calls.h"
#include "gateway/route/route_policy.h"

namespace torchfleet::gateway {

// gRPC's side of a call.
struct IncomingCall {
  grpc::CallbackServerContext* context;
  const grpc::ByteBuffer* request;
  grpc::ByteBuffer* response;
};

// Where it goes and on whose account.
struct ForwardPlan {
  // "/package.Service/Method"
  const char* method;
  std::string model;
  // Keeps what `route` borrows.
  std::shared_ptr<const FleetSnapshot> fleet;
  Route route;
  // Whose budget retries are from.
  std::shared_ptr<ModelCalls> calls;
  // Changes a reply before it goes back. Optional.
  std::function<absl::Status(grpc::ByteBuffer&)> edit_reply;
};

class ForwardedCall final : public grpc::ServerUnaryReactor {
 public:
  ForwardedCall(const IncomingCall& incoming, ForwardPlan plan, const BackendTable& backends,
                const Clock& clock);
  ~ForwardedCall() override;

  void Start();

  void OnCancel() override { cancelled_.store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }

 private:
  class Attempt;

  // Nothing when every replica has been tried.
  std::shared_ptr<Backend> ChooseBackend();
  void Try(std::shared_ptr<Backend> backend);
  // Called by the attempt as its last deed.
  void AttemptDone(const grpc::Status& status, bool answered);
  bool TryAnother(const grpc::Status& status, bool answered);
  void Succeed();
  grpc::Status StatusForCaller(const grpc::Status& status, bool answered) const;
  void End(const grpc::Status& status);

  const IncomingCall incoming_;
  const ForwardPlan plan_;
  const std::shared_ptr<const BackendTable::Table> backends_;
  const Clock& clock_;
  std::vector<std::shared_ptr<Backend>> tried_;
  std::unique_ptr<Attempt> attempt_;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace torchfleet::gateway
