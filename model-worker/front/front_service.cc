#include "model-worker/front/front_service.h"

namespace torchfleet::worker {
namespace {

constexpr char kInferMethod[] = "/inference.GRPCInferenceService/ModelInfer";
constexpr char kStreamInferMethod[] = "/inference.GRPCInferenceService/ModelStreamInfer";

bool IsInference(std::string_view path) {
  return path == kInferMethod || path == kStreamInferMethod;
}

}  // namespace

FrontService::FrontService(net::Loop& loop, const InferContext& context, const net::Address& behind)
    : runner_(loop, context.engine, context.clock),
      infer_calls_(context, box_),
      stream_calls_(loop, context, box_),
      inference_(loop),
      others_(loop, behind),
      box_(loop, runner_) {
  inference_.Add(kInferMethod,
                 [this](net::GrpcServerCall& call) { return &infer_calls_.Take(call); });
  inference_.Add(kStreamInferMethod,
                 [this](net::GrpcServerCall& call) { return &stream_calls_.Take(call); });
}

net::StreamHandler* FrontService::OnStream(net::Stream& stream) {
  const net::Headers& headers = stream.headers();
  // What is no gRPC is refused in HTTP's own terms: gRPC's server would answer
  // 200, which a probe takes for health.
  const bool grpc = headers.ValueOr("content-type", "").starts_with("application/grpc");
  if (grpc && !IsInference(headers.ValueOr(":path", ""))) return &others_.Take(stream);
  return inference_.OnStream(stream);
}

}  // namespace torchfleet::worker
