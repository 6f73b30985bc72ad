#include "gateway/edge/edge_service.h"

#include "gateway/forward/method_names.h"

namespace torchfleet::gateway {
EdgeService::EdgeService(net::Loop& loop, size_t index, const EdgeContext& context,
                         const net::Address& control_server)
    : log_(loop, context.access_log),
      infer_calls_(loop, index, context.infer, log_),
      stream_calls_(loop, *this, log_),
      control_calls_(loop, control_server),
      web_calls_(loop, *this, context.origins, log_),
      rest_calls_(loop, *this, context.infer.fleet, context.origins, log_) {}

net::StreamHandler* EdgeService::OnStream(net::Stream& stream) {
  const std::string_view content_type = stream.headers().ValueOr("content-type", "");
  if (GrpcWebCall::IsContentType(content_type)) return &web_calls_.Take(stream);
  if (content_type.starts_with("application/grpc")) return &Grpc(stream, nullptr);
  return &rest_calls_.Take(stream);
}

net::StreamHandler& EdgeService::Grpc(net::Stream& call, CallRecord* outer) {
  const std::string_view path = call.headers().ValueOr(":path", "");
  if (call.headers().ValueOr(":method", "") == "POST") {
    if (path == kInferMethod) return infer_calls_.Take(call, outer);
    if (path == kStreamInferMethod) return stream_calls_.Take(call);
  }
  return control_calls_.Take(call);
}

}  // namespace torchfleet::gateway
