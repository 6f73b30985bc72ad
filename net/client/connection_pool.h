#pragma once
// A client's connections to one address, made when they are needed.
//
// One that cannot be made, or breaks before it has said anything, is followed by
// a pause that grows from 50 ms to 2 s. Only on its loop's thread; its
// destruction ends what runs on its connections.

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "net/http/connection.h"
#include "net/http2/options.h"
#include "net/loop/loop.h"
#include "net/socket/address.h"
#include "net/socket/byte_stream.h"
#include "net/tls/tls_context.h"

namespace torchfleet::net {

class ConnectionPool final : private Connection::Owner {
 public:
  enum class Http { k1, k2 };

  struct Options {
    Http http = Http::k2;
    // Of HTTP/2. With HTTP/1.1, whose connections take one request at a time,
    // there are as many as there are requests.
    int connections = 1;
    Http2Options limits;
    // TLS; null without.
    std::shared_ptr<const TlsContext> tls = nullptr;
    // Whom the server's certificate is for; empty for the address's host.
    std::string server_name = "";
  };

  ConnectionPool(Loop& loop, Address address, Options options);

  // The one with the fewest streams, or another one while there may be more.
  // Null when there is none and none can be made now.
  ClientConnection* Choose();

  // What `:scheme` and `:authority` say.
  std::string_view scheme() const { return options_.tls ? "https" : "http"; }
  std::string_view authority() const {
    return address_.family() == AF_UNIX ? std::string_view("localhost") : address_.text;
  }

 private:
  StreamHandler* OnStream(Stream&) override { return nullptr; }
  void OnConnectionClosed(Connection& connection) override;
  std::unique_ptr<ByteStream> Encrypted(std::unique_ptr<ByteStream> socket) const;

  Loop& loop_;
  const Address address_;
  const Options options_;
  std::vector<std::unique_ptr<ClientConnection>> connections_;
  absl::Duration pause_ = absl::ZeroDuration();
  Instant next_try_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace torchfleet::net
