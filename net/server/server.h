#pragma once
// Serves HTTP/2 and HTTP/1.1 on one address with several threads that share nothing: each
// has its loop, its listener and its connections.
//
// Lifecycle: Start; Drain or Stop; destroyed after either. Thread-safe.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/http2/options.h"
#include "net/loop/loop.h"
#include "net/server/service.h"
#include "net/tls/certificate_watch.h"

namespace torchfleet::net {

using ServiceFactory = std::function<std::unique_ptr<Service>(Loop& loop)>;

struct ServerOptions {
  // host:port, port 0 for a free one; or unix:/path, which one thread serves
  // whatever `threads` says.
  std::string listen = "127.0.0.1:0";
  int threads = 1;
  // HTTP/1.1 keeps to the same limits and times.
  Http2Options http2;
  // TLS, with these files; they may change while it serves.
  std::optional<TlsFiles> tls = {};
};

class Server {
 public:
  // Errors of the address and of TLS files: INVALID_ARGUMENT, UNAVAILABLE.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ServerOptions options,
                                                       const ServiceFactory& factory);
  ~Server();

  const std::string& address() const { return address_; }

  // Takes no new connections or streams, and waits for those that are open, for
  // `limit` at most; then Stop.
  void Drain(absl::Duration limit);
  // Closes what is left.
  void Stop();

 private:
  class Shard;

  explicit Server(ServerOptions options);

  const ServerOptions options_;
  std::unique_ptr<CertificateWatch> certificates_;  // with TLS
  std::string address_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace torchfleet::net
