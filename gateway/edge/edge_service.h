#pragma once
// What comes in on one loop: inference calls are forwarded from here, all
// others go to the ordinary gRPC server behind.
//
// Borrows the fleet, the backends and the counters. Only on its loop's thread.

#include "base/snapshot.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/edge/control_call.h"
#include "gateway/forward/backend.h"
#include "gateway/forward/infer_call.h"
#include "gateway/forward/model_calls.h"
#include "net/server/service.h"

namespace torchfleet::gateway {

class EdgeService final : public net::Service {
 public:
  EdgeService(net::Loop& loop, const Snapshot<FleetSnapshot>& fleet, const BackendTable& backends,
              const ModelCallsTable& calls, const net::Address& control_server)
      : infer_calls_(loop, fleet, backends, calls), control_calls_(loop, control_server) {}

  net::StreamHandler* OnStream(net::Stream& stream) override;

 private:
  InferCallPool infer_calls_;
  ControlCallPool control_calls_;
};

}  // namespace torchfleet::gateway
