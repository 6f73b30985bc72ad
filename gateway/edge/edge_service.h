#pragma once
// What comes in on one loop, by what the caller speaks: gRPC, gRPC-Web, or REST.
// Inference calls are forwarded from here, all others go to the ordinary gRPC
// server behind.
//
// Borrows its context. Only on its loop's thread.

#include "base/snapshot.h"
#include "gateway/discover/fleet_snapshot.h"
#include "gateway/forward/infer_call.h"
#include "gateway/protocol/grpc_entry.h"
#include "gateway/protocol/stream/stream_infer_call.h"
#include "gateway/protocol/web/cross_origin.h"
#include "gateway/protocol/web/grpc_web_call.h"
#include "gateway/protocol/web/rest_call.h"
#include "gateway/record/access_log.h"
#include "net/grpc/passed_call.h"
#include "net/server/service.h"

namespace torchfleet::gateway {

// What the loops share; outlives them.
struct EdgeContext {
  InferContext infer;
  const CrossOrigin& origins;
  // None: no call is told of.
  AccessLog* access_log = nullptr;
};

class EdgeService final : public net::Service, private GrpcEntry {
 public:
  // `index`: which loop of all it is, from 0.
  EdgeService(net::Loop& loop, size_t index, const EdgeContext& context,
              const net::Address& control_server);

  net::StreamHandler* OnStream(net::Stream& stream) override;

 private:
  // Calls made by the protocols.
  net::StreamHandler& Enter(net::Stream& call, CallRecord& record) override {
    return Grpc(call, &record);
  }
  void Log(const net::PassedCallEnd& end);
  net::StreamHandler& Grpc(net::Stream& call, CallRecord* outer);

  AccessLogLines log_;
  InferCallPool infer_calls_;
  StreamInferCallPool stream_calls_;
  CallRecord control_record_;
  net::PassedCallPool control_calls_;
  GrpcWebCallPool web_calls_;
  RestCallPool rest_calls_;
};

}  // namespace torchfleet::gateway
