#include "gateway/edge/edge_service.h"

namespace torchfleet::gateway {
namespace {

bool IsInferenceCall(const net::Headers& headers) {
  return headers.ValueOr(":path", "") == "/inference.GRPCInferenceService/ModelInfer" &&
         headers.ValueOr(":method", "") == "POST" &&
         headers.ValueOr("content-type", "").substr(0, 16) == "application/grpc";
}

}  // namespace

net::StreamHandler* EdgeService::OnStream(net::Stream& stream) {
  if (IsInferenceCall(stream.headers())) return &infer_calls_.Take(stream);
  return &control_calls_.Take(stream);
}

}  // namespace torchfleet::gateway
