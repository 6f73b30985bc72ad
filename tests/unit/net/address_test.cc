#include "net/socket/address.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "net/loop/loop.h"
#include "net/socket/listener.h"
#include "net/socket/socket_stream.h"
#include "tests/fakes/temporary_folder.h"

namespace torchfleet::net {
namespace {

TEST_CASE("ParseAddress: hosts, numbers and paths", "[net][socket]") {
  CHECK(ParseAddress("127.0.0.1:80")->family() == AF_INET);
  CHECK(ParseAddress("localhost:0").ok());
  CHECK(ParseAddress("unix:/tmp/socket")->family() == AF_UNIX);
  CHECK(ParseAddress("127.0.0.1:80")->text == "127.0.0.1:80");
}

TEST_CASE("ParseAddress: what is no address says what one is", "[net][socket]") {
  for (const std::string text :
       {"", "localhost", ":80", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "unix:", "[]:1"}) {
    CAPTURE(text);
    CHECK(absl::IsInvalidArgument(ParseAddress(text).status()));
  }
  CHECK(absl::IsInvalidArgument(ParseAddress("unix:/" + std::string(200, 'x')).status()));
  CHECK(absl::IsUnavailable(ParseAddress("no.such.host.invalid:1").status()));
}

TEST_CASE("Listener: tells its port, shares it, and minds a living socket file", "[net][socket]") {
  const auto loop = *Loop::Create();
  const auto first = Listener::Open(*loop, *ParseAddress("127.0.0.1:0"), [](int) {});
  REQUIRE(first.ok());
  CHECK((*first)->address().text != "127.0.0.1:0");
  CHECK(Listener::Open(*loop, (*first)->address(), [](int) {}).ok());
  CHECK(absl::IsUnavailable(Listener::CheckFree((*first)->address())));
  CHECK(absl::IsUnavailable(
      Listener::Open(*loop, *ParseAddress("192.0.2.1:1"), [](int) {}).status()));

  const TemporaryFolder folder;
  const std::string path = "unix:" + (folder.path() / "socket").string();
  {
    const auto socket = Listener::Open(*loop, *ParseAddress(path), [](int) {});
    REQUIRE(socket.ok());
    CHECK((*socket)->address().text == path);
    CHECK(absl::IsUnavailable(Listener::Open(*loop, *ParseAddress(path), [](int) {}).status()));
  }
  CHECK_FALSE(std::filesystem::exists(folder.path() / "socket"));
}

// This process's last file descriptors.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = std::min<rlim_t>(before_.rlim_cur, 256);
    setrlimit(RLIMIT_NOFILE, &few);
    for (int fd = dup(0); fd >= 0; fd = dup(0)) taken_.push_back(fd);
  }
  ~NoDescriptors() {
    for (const int fd : taken_) close(fd);
    setrlimit(RLIMIT_NOFILE, &before_);
  }

 private:
  rlimit before_;
  std::vector<int> taken_;
};

TEST_CASE("IsLoopback: this machine by any of its numbers, and no other", "[net][socket]") {
  for (const char* here : {"127.0.0.1:1", "127.9.8.7:1", "[::1]:1", "[::ffff:127.0.0.1]:1"}) {
    INFO(here);
    CHECK(IsLoopback(ParseAddress(here)->storage));
  }
  for (const char* elsewhere : {"10.0.0.1:1", "128.0.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1",
                                "[::2]:1", "unix:/tmp/socket"}) {
    INFO(elsewhere);
    CHECK_FALSE(IsLoopback(ParseAddress(elsewhere)->storage));
  }
}

std::string CongestionControl(int fd) {
  char name[16] = "";
  socklen_t size = sizeof name;
  REQUIRE(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) == 0);
  return name;
}

TEST_CASE("TuneTcp: what stays on this machine is not paced", "[net][socket]") {
  const auto loop = *Loop::Create();
  std::string accepted;
  const auto listener = Listener::Open(*loop, *ParseAddress("127.0.0.1:0"), [&](int fd) {
    accepted = CongestionControl(fd);
    close(fd);
    loop->Stop();
  });
  REQUIRE(listener.ok());
  const auto caller = SocketStream::Connect((*listener)->address());
  REQUIRE(caller.ok());
  loop->Run();
  CHECK(accepted == "reno");
  CHECK(CongestionControl((*caller)->fd()) == "reno");
}

TEST_CASE("TuneTcp: what leaves this machine is sent as the system says", "[net][socket]") {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(fd >= 0);
  const std::string before = CongestionControl(fd);
  TuneTcp(fd, ParseAddress("192.0.2.1:1")->storage);
  CHECK(CongestionControl(fd) == before);
  close(fd);
}

TEST_CASE("Listener: out of file descriptors, it accepts when they are back", "[net][socket]") {
  const auto loop = *Loop::Create();
  int accepted = 0;
  const auto listener = Listener::Open(*loop, *ParseAddress("127.0.0.1:0"), [&](int fd) {
    close(fd);
    ++accepted;
    loop->Stop();
  });
  REQUIRE(listener.ok());
  // Sanitizers look types up when they meet them first, which takes descriptors.
  LogInfo("a listener is about to lack descriptors");
  const auto before = SocketStream::Connect((*listener)->address());
  loop->Run();
  REQUIRE(accepted == 1);
  const auto caller = SocketStream::Connect((*listener)->address());
  REQUIRE(caller.ok());
  std::optional<NoDescriptors> none(std::in_place);
  // Longer than the listener pauses: it tries again, and waits again.
  Timer back(*loop, [&] {
    CHECK(accepted == 1);
    none.reset();
  });
  back.Start(absl::Milliseconds(250));
  loop->Run();
  CHECK(accepted == 2);
}

}  // namespace
}  // namespace torchfleet::net
