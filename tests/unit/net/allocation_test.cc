// After a while, a call takes no memory from the system.

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "net/client/channel.h"
#include "net/grpc/server_call.h"
#include "net/http2/connection.h"
#include "net/socket/listener.h"
#include "net/socket/socket_stream.h"
#include "tests/unit/wire/allocations.h"

namespace torchfleet::net {
namespace {

struct Echo : GrpcServerHandler {
  void OnMessage(GrpcServerCall& call, const Slice& message) override { call.Send(message); }
  void OnHalfClose(GrpcServerCall& call) override { call.Finish({}); }
  void OnDone(GrpcServerCall&, bool) override {}
};

// One call after another over a loop that serves and calls.
struct Caller : GrpcClientHandler {
  Caller(Loop& loop, Channel& channel, int calls) : loop(loop), channel(channel), left(calls) {}
  void Next() {
    if (left-- == 0) return loop.Stop();
    auto& call = channel.Call("/echo.Echo/Say", nullptr, absl::Seconds(20), *this);
    call.Send(message);
    call.HalfClose();
  }
  void OnMessage(GrpcClientCall&, const Slice& answer) override {
    right += answer.bytes() == message;
  }
  void OnDone(GrpcClientCall&, const GrpcOutcome& outcome) override {
    failed += !outcome.status.ok();
    if (left == 1000) before = wire::Allocations();
    Next();
  }
  Loop& loop;
  Channel& channel;
  const std::string message = std::string(1000, 'm');
  int left, right = 0, failed = 0;
  size_t before = 0;
};

// A service's connections on the test's own loop, so that one thread does all.
class OneLoopServer : private Http2Connection::Owner {
 public:
  OneLoopServer(Loop& loop, Service& service) : loop_(loop), service_(service) {
    listener_ = *Listener::Open(loop, *ParseAddress("127.0.0.1:0"), [this](int fd) {
      connections_.push_back(std::make_unique<Http2Connection>(
          Http2Connection::Role::kServer, loop_, std::make_unique<SocketStream>(fd), options_,
          static_cast<Http2Connection::Owner&>(*this)));
    });
  }
  const Address& address() const { return listener_->address(); }

 private:
  StreamHandler* OnStream(Stream& stream) override { return service_.OnStream(stream); }
  void OnConnectionClosed(Connection&) override {}

  Loop& loop_;
  Service& service_;
  const Http2Options options_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Http2Connection>> connections_;
};

TEST_CASE("net: a call allocates nothing after warm-up, on either side", "[net][grpc]") {
  const auto loop = *Loop::Create();
  Echo echo;
  GrpcService service(*loop);
  service.Add("/echo.Echo/Say", [&](GrpcServerCall&) { return &echo; });
  OneLoopServer server(*loop, service);
  Channel channel(*loop, server.address(), {});
  Caller caller(*loop, channel, 2000);
  loop->Post([&] { caller.Next(); });
  loop->Run();
  const size_t taken = wire::Allocations() - caller.before;
  CHECK(caller.failed == 0);
  CHECK(caller.right == 2000);
  // A header table that grows by one entry is not a call's.
  CHECK(taken <= 10);
}

}  // namespace
}  // namespace torchfleet::net
