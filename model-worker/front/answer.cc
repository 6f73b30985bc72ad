#include "model-worker/front/answer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/hash/hash.h"
#include "base/grpc_status.h"
#include "base/status.h"
#include "model-worker/front/codec.h"
#include "wire/caller.h"
#include "wire/stream_response.h"

namespace torchfleet::worker {
namespace {

// A tensor of fewer bytes is copied into the message. Up to here both cost the
// same.
constexpr size_t kWorthReference = 16 << 10;

void SendHead(size_t size, Wrapping wrapping, net::GrpcServerCall& call) {
  std::string head;
  if (wrapping == Wrapping::kStreamed) head = wire::StreamResponseHead(size);
  char prefix[net::kGrpcPrefixSize];
  net::WriteGrpcPrefix(head.size() + size, prefix);
  call.SendBytes(std::string_view(prefix, sizeof prefix));
  if (!head.empty()) call.SendBytes(head);
}

}  // namespace

CallOrigin OriginOf(const net::GrpcServerCall& call) {
  const std::string_view said = call.metadata().ValueOr(wire::kCallerHeader, "");
  return {.caller = said.empty() ? call.connection() : absl::HashOf(said),
          .route = call.metadata().ValueOr(wire::kRouteHeader, "")};
}

// A worker that refuses many calls at once tells them all the same: what was made
// last is used again.
net::GrpcStatus ToNet(const absl::Status& status) {
  thread_local absl::Status last;
  thread_local net::GrpcStatus made;
  if (status != last) {
    const grpc::Status wire = ToGrpc(status);
    last = status;
    made = {
        .code = status.code(), .message = wire.error_message(), .details = wire.error_details()};
  }
  return made;
}

absl::Status SendResponse(const InferTask& task, std::vector<OutputTensor> outputs,
                          Wrapping wrapping, wire::InferWriter& writer, net::GrpcServerCall& call) {
  ASSIGN_OR_RETURN(const auto pieces, WriteResponse(task.spec(), task.form(), outputs, writer));
  SendHead(writer.size(), wrapping, call);
  for (const std::string_view piece : pieces) {
    const auto tensor = std::find_if(outputs.begin(), outputs.end(), [&](const auto& output) {
      return output.bytes.data() == piece.data();
    });
    if (tensor == outputs.end() || piece.size() < kWorthReference) {
      call.SendBytes(piece);
    } else {
      call.SendBytes(net::Slice::Keep(tensor->owner, piece));
    }
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::worker
