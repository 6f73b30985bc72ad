// What a peer sends over HTTP/1, to a server and as a server's answer: never a
// crash, a leak or a hang, and the same however it is cut.

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "net/http1/http1_connection.h"
#include "net/http1/http1_reader.h"
#include "net/socket/socket_stream.h"

namespace torchfleet::net {
namespace {

// Sends every body back.
struct Echo final : StreamHandler {
  void OnHeaders(Stream& stream, bool end) override {
    Headers answer;
    answer.Add(":status", "200");
    stream.SendHeaders(answer, end);
  }
  void OnBody(Stream& stream, const Slice& bytes) override {
    stream.Send(Slice(bytes), /*end=*/false);
    stream.Consumed(bytes.size());
  }
  void OnEnd(Stream& stream) override { stream.Send(Slice(), /*end=*/true); }
  void OnSent(Stream&, size_t) override {}
  void OnClosed(Stream&, CloseCode) override { --open; }
  int open = 0;
};

class Served final : private Connection::Owner {
 public:
  explicit Served(int fd)
      : connection_(
            std::make_unique<Http1Connection>(*loop_, std::make_unique<SocketStream>(fd), options_,
                                              static_cast<Connection::Owner&>(*this), Slice())) {}
  void Run() {
    loop_->Run();
    connection_.reset();
    if (echo_.open != 0) std::abort();
  }

 private:
  StreamHandler* OnStream(Stream&) override {
    ++echo_.open;
    return &echo_;
  }
  void OnConnectionClosed(Connection&) override { loop_->Stop(); }

  const std::unique_ptr<Loop> loop_ = *Loop::Create();
  const Http2Options options_;
  Echo echo_;
  std::unique_ptr<Http1Connection> connection_;
};

// What a reader makes of the bytes, given `step` at a time.
std::string Read(std::string_view bytes, size_t step, Http1Reader::Role role) {
  Http1Reader reader(role, 512);
  reader.Begin();
  Headers head, trailers;
  std::string told;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    while (true) {
      const auto event = reader.Next(piece, head, trailers);
      if (event == Http1Reader::Event::kMore) break;
      if (event == Http1Reader::Event::kError) return told + "!";
      if (event == Http1Reader::Event::kBody) told += reader.body();
      if (event == Http1Reader::Event::kHead) {
        for (const auto [name, value] : head) told.append(name).append("=").append(value);
      }
      const bool over = event == Http1Reader::Event::kEnd ||
                        (event == Http1Reader::Event::kHead && !reader.message().has_body);
      if (over) told += ".", reader.Begin();
    }
    if (!piece.empty()) std::abort();
  }
  return told;
}

}  // namespace
}  // namespace torchfleet::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace torchfleet::net;
  if (size > 64 << 10) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const auto role : {Http1Reader::Role::kRequests, Http1Reader::Role::kAnswers}) {
    const std::string whole = Read(bytes, std::max<size_t>(size, 1), role);
    if (Read(bytes, 1, role) != whole || Read(bytes, 5, role) != whole) std::abort();
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  if (send(ends[1], data, size, 0) < 0) std::abort();
  shutdown(ends[1], SHUT_WR);
  Served(ends[0]).Run();
  close(ends[1]);
  return 0;
}
