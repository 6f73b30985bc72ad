#pragma once
// Answers of inference on their way to a caller.

#include <vector>

#include "absl/status/status.h"
#include "model-worker/front/infer_task.h"
#include "net/grpc/server_call.h"
#include "net/grpc/status.h"
#include "wire/infer_writer.h"

namespace torchfleet::worker {

// What a response travels as.
enum class Wrapping {
  kNone,
  // ModelStreamInferResponse.
  kStreamed,
};

// Whose call it is (what a gateway says of its callers, or the connection's) and
// where a gateway sent it. Borrows from the call.
CallOrigin OriginOf(const net::GrpcServerCall& call);

// Details and all.
net::GrpcStatus ToNet(const absl::Status& status);

// Sends the response of `task` as one message of `call`;
// large tensors go by reference. RESOURCE_EXHAUSTED when it is too large for a
// message: nothing is sent then.
absl::Status SendResponse(const InferTask& task, std::vector<OutputTensor> outputs,
                          Wrapping wrapping, wire::InferWriter& writer, net::GrpcServerCall& call);

}  // namespace torchfleet::worker
