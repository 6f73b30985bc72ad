// What a peer sends to net/, as a server and as a client: never a crash, a leak
// or a hang. The first byte chooses the side; then come frames.

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "net/grpc/server_call.h"
#include "net/http2/connection.h"
#include "net/socket/socket_stream.h"

namespace torchfleet::net {
namespace {

struct Echo : GrpcServerHandler {
  void OnMessage(GrpcServerCall& call, const Slice& message) override { call.Send(message); }
  void OnHalfClose(GrpcServerCall& call) override { call.Finish({}); }
  void OnDone(GrpcServerCall&, bool) override {}
};

// A request's answer, read and given back.
struct Reader : StreamHandler {
  void OnHeaders(Stream&, bool) override {}
  void OnBody(Stream& stream, const Slice& bytes) override { stream.Consumed(bytes.size()); }
  void OnEnd(Stream&) override {}
  void OnSent(Stream&, size_t) override {}
  void OnClosed(Stream&, CloseCode) override { ++closed; }
  int closed = 0;
};

class Peered : private Http2Connection::Owner {
 public:
  Peered(Http2Connection::Role role, int fd) : service_(*loop_) {
    service_.AddOthers([this](GrpcServerCall&) { return &echo_; });
    connection_ =
        std::make_unique<Http2Connection>(role, *loop_, std::make_unique<SocketStream>(fd),
                                          options_, static_cast<Http2Connection::Owner&>(*this));
    if (role == Http2Connection::Role::kServer) return;
    Headers headers;
    headers.Add(":method", "POST");
    headers.Add(":scheme", "http");
    headers.Add(":path", "/echo.Echo/Say");
    headers.Add(":authority", "test");
    for (int i = 0; i < kCalls; ++i) {
      connection_->Open(headers, /*end=*/false, reader_)->SendCopy("body", /*end=*/true);
    }
  }
  void Run(bool client) {
    loop_->Run();
    connection_.reset();
    if (client && reader_.closed != kCalls) std::abort();
  }

 private:
  static constexpr int kCalls = 3;

  StreamHandler* OnStream(Stream& stream) override { return service_.OnStream(stream); }
  void OnConnectionClosed(Connection&) override { loop_->Stop(); }

  const std::unique_ptr<Loop> loop_ = *Loop::Create();
  const Http2Options options_;
  Echo echo_;
  Reader reader_;
  GrpcService service_;
  std::unique_ptr<Http2Connection> connection_;
};

}  // namespace
}  // namespace torchfleet::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using torchfleet::net::Http2Connection;
  if (size == 0 || size > 64 << 10) return 0;
  const bool client = data[0] % 2 == 1;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  std::string bytes = client ? "" : "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  bytes += std::string("\0\0\0\4\0\0\0\0\0", 9);  // settings
  bytes.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (send(ends[1], bytes.data(), bytes.size(), 0) < 0) std::abort();
  shutdown(ends[1], SHUT_WR);
  torchfleet::net::Peered(client ? Http2Connection::Role::kClient : Http2Connection::Role::kServer,
                          ends[0])
      .Run(client);
  close(ends[1]);
  return 0;
}
