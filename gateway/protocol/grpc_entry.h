#pragma once
// Where gRPC calls go, whoever makes them: a caller that speaks gRPC, or a
// protocol of the edge on behalf of one that does not.

#include "gateway/record/call_record.h"
#include "net/http/stream.h"

namespace torchfleet::gateway {

class GrpcEntry {
 public:
  // Who handles `call`, whose headers are those of a gRPC request; it lives
  // until OnClosed. What is to be told of it goes to `record`, which whoever
  // made the call tells.
  virtual net::StreamHandler& Enter(net::Stream& call, CallRecord& record) = 0;

 protected:
  ~GrpcEntry() = default;
};

}  // namespace torchfleet::gateway
