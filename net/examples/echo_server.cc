// Answers every message of /echo.Echo/Say with itself, until SIGTERM.
#include <cstdio>

#include "base/shutdown.h"
#include "net/grpc/server_call.h"
#include "net/server/server.h"

using namespace torchfleet;

struct Echo : net::GrpcServerHandler {
  void OnMessage(net::GrpcServerCall& call, const net::Slice& message) override {
    call.Send(message);
  }
  void OnHalfClose(net::GrpcServerCall& call) override { call.Finish({}); }
  void OnDone(net::GrpcServerCall&, bool) override {}
};

int main(int argc, char** argv) {
  ShutdownSignal shutdown;
  Echo echo;
  net::ServerOptions options{
      .listen = argc > 1 ? argv[1] : "127.0.0.1:0", .threads = 2, .http2 = {}};
  if (argc > 3) options.tls = {argv[2], argv[3], argc > 4 ? argv[4] : ""};
  const auto server = net::Server::Start(options, [&echo](net::Loop& loop) {
    auto service = std::make_unique<net::GrpcService>(loop);
    service->Add("/echo.Echo/Say", [&echo](auto&) { return &echo; });
    return service;
  });
  if (!server.ok()) return std::fprintf(stderr, "%s\n", server.status().ToString().c_str()), 1;
  std::printf("%s\n", (*server)->address().c_str());
  std::fflush(stdout);
  shutdown.Wait();
  (*server)->Drain(absl::Seconds(5));
}
