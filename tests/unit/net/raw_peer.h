#pragma once
// A peer that writes HTTP/2 byte by byte, to say what no library would.

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/headers.h"
#include "net/server/server.h"
#include "net/socket/address.h"
#include "tests/unit/net/frames.h"

namespace torchfleet::net {

struct Frame {
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::string payload;
  Headers fields;  // of HEADERS that came whole

  bool ends() const { return (flags & 1) != 0; }
};

// A server that echoes messages of /echo.Echo/Say.
std::unique_ptr<Server> EchoServer(ServerOptions options);
std::unique_ptr<Server> EchoServer(Http2Options options = {});

class RawPeer {
 public:
  // Connected. `hello`: the preface and empty settings are sent, and the
  // server's settings are acknowledged when they come.
  explicit RawPeer(const Server& server, bool hello = true);
  // As a server, of this connected socket; sends empty settings.
  explicit RawPeer(int fd);
  ~RawPeer();
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  // Ignores that the other side may have gone.
  void Write(std::string_view bytes);
  void Write(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
    Write(FrameBytes(type, flags, stream, payload));
  }
  // A whole call on this stream.
  void Call(uint32_t stream, std::string_view message);

  // The next frame; nothing when the connection has ended, or after 10 s.
  std::optional<Frame> Next();
  // The next frame of this type, others let go.
  std::optional<Frame> NextOf(uint8_t type);
  // What the server has sent when it answers a ping: all that it did before.
  std::vector<Frame> UntilPong();
  // The error code of the GOAWAY that ends the connection, which then does end.
  std::optional<uint32_t> GoawayCode();
  // The error code of the RST_STREAM for this stream.
  std::optional<uint32_t> ResetCode(uint32_t stream);
  // The echo to the call on this stream.
  std::optional<std::string> Echo(uint32_t stream);
  // The connection ends without another word.
  bool Ends();

 private:
  bool Fill(size_t size);
  void Inflate(Frame& frame);

  int fd_ = -1;
  bool preface_due_ = false;
  std::string received_;
  nghttp2_hd_inflater* inflater_ = nullptr;
};

// Where clients of net/ meet a RawPeer.
class RawListener {
 public:
  RawListener();
  ~RawListener();
  const Address& address() const { return address_; }
  // The next connection; its preface is read over.
  std::unique_ptr<RawPeer> Accept();

 private:
  int fd_;
  Address address_;
};

}  // namespace torchfleet::net
