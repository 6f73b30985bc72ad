// Says its second argument to the echo server at its first, and prints what
// comes back.
#include <cstdio>

#include "net/client/channel.h"

using namespace torchfleet;

struct Print : net::GrpcClientHandler {
  explicit Print(net::Loop& used) : loop(used) {}
  void OnMessage(net::GrpcClientCall&, const net::Slice& message) override {
    std::printf("%.*s\n", static_cast<int>(message.size()), message.bytes().data());
  }
  void OnDone(net::GrpcClientCall&, const net::GrpcOutcome& outcome) override {
    code = static_cast<int>(outcome.status.code);
    if (code != 0) std::fprintf(stderr, "%s\n", outcome.status.message.c_str());
    loop.Stop();
  }
  net::Loop& loop;
  int code = 0;
};

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: echo_client HOST:PORT TEXT [CA-FILE]\n"), 2;
  const auto loop = net::Loop::Create();
  const auto address = net::ParseAddress(argv[1]);
  if (!loop.ok() || !address.ok()) return std::fprintf(stderr, "no such address\n"), 2;
  net::Channel::Options options;
  if (argc > 3) {
    const auto tls = net::TlsContext::ForClient(argv[3]);
    if (!tls.ok()) return std::fprintf(stderr, "%s\n", tls.status().ToString().c_str()), 2;
    options.tls = *tls;
  }
  Print print(**loop);
  net::Channel channel(**loop, *address, options);
  auto& call = channel.Call("/echo.Echo/Say", nullptr, absl::Seconds(10), print);
  call.Send(argv[2]);
  call.HalfClose();
  (*loop)->Run();
  return print.code;
}
