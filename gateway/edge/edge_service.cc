#include "gateway/edge/edge_service.h"

#include "gateway/forward/method_names.h"

namespace torchfleet::gateway {

EdgeService::EdgeService(net::Loop& loop, size_t index, const EdgeContext& context,
                         const net::Address& control_server)
    : log_(loop, context.access_log),
      infer_calls_(loop, index, context.infer, log_),
      stream_calls_(loop, *this, log_),
      control_calls_(loop, control_server, [this](const net::PassedCallEnd& end) { Log(end); }),
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
    if (path == kStreamInferMethod) return stream_calls_.Take(call, outer);
  }
  // One that a protocol made is told of by its outer call.
  return control_calls_.Take(call, /*tell=*/outer == nullptr && log_.on());
}

void EdgeService::Log(const net::PassedCallEnd& end) {
  control_record_.Clear();
  control_record_.method = end.headers.ValueOr(":path", "");
  control_record_.ids.Take(end.headers);
  control_record_.code = end.code;
  control_record_.duration = end.duration;
  control_record_.bytes_in = end.bytes_in;
  control_record_.bytes_out = end.bytes_out;
  log_.Add(control_record_);
}

}  // namespace torchfleet::gateway
