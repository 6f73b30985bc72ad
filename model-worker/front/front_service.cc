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
  if (stream.headers().ValueOr(":path", "") == kInferMethod) return inference_.OnStream(stream);
  return &others_.Take(stream);
}

}  // namespace torchfleet::worker
