#include "model-worker/front/front_service.h"

namespace torchfleet::worker {
namespace {

constexpr char kInferMethod[] = "/inference.GRPCInferenceService/ModelInfer";

}  // namespace

FrontService::FrontService(net::Loop& loop, const InferContext& context, const net::Address& behind)
    : infer_calls_(loop, context), inference_(loop), others_(loop, behind) {
  inference_.Add(kInferMethod,
                 [this](net::GrpcServerCall& call) { return &infer_calls_.Take(call); });
}

net::StreamHandler* FrontService::OnStream(net::Stream& stream) {
  const net::Headers& headers = stream.headers();
  // What is no gRPC is refused in HTTP's own terms: gRPC's server would answer
  // 200, which a probe takes for health.
  const bool grpc = headers.ValueOr("content-type", "").starts_with("application/grpc");
  if (grpc && headers.ValueOr(":path", "") != kInferMethod) return &others_.Take(stream);
  return inference_.OnStream(stream);
}

}  // namespace torchfleet::worker
