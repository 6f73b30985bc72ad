#include "tests/fuzz/http2_check.h"

#include <algorithm>
#include <memory>

#include "net/grpc/server_call.h"
#include "net/http2/connection.h"
#include "tests/fuzz/fed_connection.h"
#include "tests/fuzz/frame_script.h"
#include "tests/unit/net/frames.h"

namespace torchfleet::net {
namespace {

using Role = Http2Connection::Role;

// Beyond, a flood of frames may cost the connection, sooner or later as they
// are cut.
constexpr size_t kMostToCompare = 4 << 10;
constexpr int kCalls = 3;

struct Echo : GrpcServerHandler {
  void OnMessage(GrpcServerCall& call, const Slice& message) override { call.Send(message); }
  void OnHalfClose(GrpcServerCall& call) override { call.Finish({}); }
  void OnDone(GrpcServerCall&, bool) override { ++done; }
  int done = 0;
};

// A server that answers, which leads further than one that only listens.
std::string EchoFault(std::string_view bytes) {
  Echo echo;
  int begun = 0;
  const Http2Options options;
  GrpcService* echoing = nullptr;
  {
    FedConnection fed(bytes, bytes.size(),
                      [&](Stream& stream) { return echoing->OnStream(stream); });
    GrpcService service(fed.loop());
    echoing = &service;
    service.AddOthers([&](GrpcServerCall&) {
      ++begun;
      return &echo;
    });
    fed.Run(std::make_unique<Http2Connection>(Role::kServer, fed.loop(), fed.Socket(), options,
                                              fed.owner()));
  }
  return begun == echo.done ? "" : "a call was never done";
}

// Among frames with or without a client's preface.
bool HasFrame(std::string_view frames, FrameType type) {
  constexpr size_t kHead = 9;
  if (frames.starts_with(kPreface)) frames.remove_prefix(kPreface.size());
  while (frames.size() >= kHead) {
    size_t size = 0;
    for (size_t i = 0; i < 3; ++i) size = size << 8 | static_cast<uint8_t>(frames[i]);
    if (frames[3] == static_cast<char>(type)) return true;
    frames.remove_prefix(std::min(kHead + size, frames.size()));
  }
  return false;
}

// nghttp2 allows eight CONTINUATIONs for a block, and counts each read of one's
// head; and who says goodbye is left as soon as no stream is open. Both end a
// connection sooner or later as the bytes are cut.
bool DependsOnCuts(std::string_view bytes) {
  return bytes.size() > kMostToCompare || HasFrame(bytes, kContinuationFrame) ||
         HasFrame(bytes, kGoawayFrame);
}

void OpenCalls(Http2Connection& connection, Heard& heard) {
  Headers headers;
  headers.Add(":method", "POST");
  headers.Add(":scheme", "http");
  headers.Add(":path", "/echo.Echo/Say");
  headers.Add(":authority", "test");
  for (int i = 0; i < kCalls; ++i) {
    connection.Open(headers, /*end=*/false, heard.Next())->SendCopy("body", /*end=*/true);
  }
}

void Listen(Role role, std::string_view bytes, size_t step, Heard& heard) {
  Http2Options options;
  options.limits.pings = options.limits.resets = {1e9, 0};
  FedConnection fed(bytes, step, [&](Stream&) { return &heard.Next(); });
  auto connection =
      std::make_unique<Http2Connection>(role, fed.loop(), fed.Socket(), options, fed.owner());
  if (role == Role::kClient) OpenCalls(*connection, heard);
  if (HasFrame(fed.Run(std::move(connection)), kResetFrame)) heard.EndedEarly();
}

std::string ListenFault(Role role, std::string_view bytes) {
  Heard whole;
  Listen(role, bytes, bytes.size(), whole);
  if (whole.open() != 0) return "a stream was never closed";
  if (DependsOnCuts(bytes)) return "";
  // Each piece costs a turn of the loop.
  const size_t shortest = bytes.size() <= 400 ? 1 : bytes.size() / 60;
  for (const size_t step : {shortest, 10 * shortest + 1}) {
    Heard cut;
    Listen(role, bytes, step, cut);
    if (cut.open() != 0) return "a stream was never closed, its bytes cut";
    if (!Heard::Agree(whole, cut)) {
      return "heard whole:" + whole.text() + "\nheard cut:" + cut.text();
    }
  }
  return "";
}

}  // namespace

std::string Http2Fault(std::string_view input) {
  if (input.empty() || input.size() > 64 << 10) return "";
  const bool client = (input[0] & 1) != 0, script = (input[0] & 2) != 0;
  std::string bytes = client ? "" : std::string(kPreface);
  bytes += FrameBytes(kSettingsFrame, 0, 0, "");
  bytes += script ? FramesOf(input.substr(1), client) : input.substr(1);
  if (std::string fault = ListenFault(client ? Role::kClient : Role::kServer, bytes);
      !fault.empty()) {
    return fault;
  }
  return client ? "" : EchoFault(bytes);
}

}  // namespace torchfleet::net
