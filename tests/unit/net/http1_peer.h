#pragma once
// A peer that writes HTTP/1 byte by byte, as a client or as a server, and a server
// whose requests a test has in its hand.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/server/server.h"
#include "net/socket/address.h"

namespace torchfleet::net {

class Http1Peer {
 public:
  explicit Http1Peer(const Server& server);
  // Of this connected socket.
  explicit Http1Peer(int fd) : fd_(fd) {}
  ~Http1Peer();
  Http1Peer(const Http1Peer&) = delete;
  Http1Peer& operator=(const Http1Peer&) = delete;

  void Write(std::string_view bytes);
  // Until `text` has come: all that came, or less after 10 s or at the end.
  std::string ReadThrough(std::string_view text);
  // Until the server closes, or 10 s.
  std::string ReadAll();
  bool ended() const { return ended_; }
  void Close();
  // At once, by a reset.
  void Break();
  void HalfClose();
  // As many of the bytes as the connection takes without being read.
  size_t WriteUntilFull(std::string_view bytes);

 private:
  bool Fill();

  int fd_;
  bool ended_ = false;
  std::string received_;
};

// Where clients of net/ meet an Http1Peer.
class Http1Listener {
 public:
  // Bound; nobody is let in before Listen.
  enum class When { kNow, kLater };
  explicit Http1Listener(When when = When::kNow);
  ~Http1Listener();
  void Listen();
  const Address& address() const { return address_; }
  // The next connection.
  std::unique_ptr<Http1Peer> Accept();

 private:
  const int fd_;
  Address address_;
};

// Serves by path: /echo sends a body back as it comes, in chunks or with its
// length; /hold answers nothing; /early answers before the body; /deaf takes no
// body bytes; /large?N answers N bytes; /reset gives up; others 404.
std::unique_ptr<Server> Http1Server(ServerOptions options);
std::unique_ptr<Server> Http1Server(Http2Options options = {});
// Streams of /hold and /deaf that were told kCancel, since the process began.
int CancelledStreams();

}  // namespace torchfleet::net
