#include "net/server/server.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/status.h"
#include "net/http1/http1_connection.h"
#include "net/http2/connection.h"
#include "net/server/greeting.h"
#include "net/socket/listener.h"
#include "net/socket/socket_stream.h"
#include "net/tls/tls_stream.h"

namespace torchfleet::net {

// One thread's part.
class Server::Shard final : private Greeting::Owner {
 public:
  Shard(std::unique_ptr<Loop> loop, const ServerOptions& options, CertificateWatch* certificates)
      : options_(options), certificates_(certificates), loop_(std::move(loop)) {}

  absl::Status Listen(const Address& address) {
    ASSIGN_OR_RETURN(listener_, Listener::Open(*loop_, address, [this](int fd) { OnAccept(fd); }));
    return absl::OkStatus();
  }
  const Address& address() const { return listener_->address(); }

  void Run(const ServiceFactory& factory) {
    service_ = factory(*loop_);
    thread_ = std::thread([this] {
      loop_->Run();
      listener_.reset();
      connections_.clear();
      service_.reset();
    });
  }

  void BeginDrain() {
    loop_->Post([this] {
      listener_.reset();
      for (const auto& [connection, owned] : connections_) connection->Drain();
      draining_ = true;
      TellWhenEmpty();
    });
  }
  void AwaitEmpty(std::chrono::steady_clock::time_point limit) {
    std::unique_lock lock(mu_);
    changed_.wait_until(lock, limit, [this] { return empty_; });
  }
  void Stop() {
    if (!thread_.joinable()) return;
    loop_->Stop();
    thread_.join();
  }

 private:
  std::unique_ptr<ByteStream> Bytes(int fd) {
    auto socket = std::make_unique<SocketStream>(fd);
    if (!certificates_) return socket;
    return TlsStream::ForServer(*certificates_->Current(loop_->now()), std::move(socket));
  }
  void OnAccept(int fd) {
    Add(std::make_unique<Greeting>(*loop_, Bytes(fd), options_.http2.times.headers,
                                   static_cast<Greeting::Owner&>(*this)));
  }
  void OnGreeted(Greeting& greeting, std::unique_ptr<ByteStream> bytes, bool http2,
                 Slice begun) override {
    auto& self = static_cast<Connection::Owner&>(*this);
    if (http2) {
      Add(std::make_unique<Http2Connection>(Http2Connection::Role::kServer, *loop_,
                                            std::move(bytes), options_.http2, self,
                                            std::move(begun)));
    } else {
      Add(std::make_unique<Http1Connection>(*loop_, std::move(bytes), options_.http2, self,
                                            std::move(begun)));
    }
    Remove(greeting);
  }
  void Add(std::unique_ptr<Connection> connection) {
    Connection* const key = connection.get();
    if (draining_) connection->Drain();
    connections_.emplace(key, std::move(connection));
  }
  void Remove(Connection& connection) {
    const auto found = connections_.find(&connection);
    loop_->DeleteLater(std::move(found->second));
    connections_.erase(found);
  }
  StreamHandler* OnStream(Stream& stream) override { return service_->OnStream(stream); }
  void OnConnectionClosed(Connection& connection) override {
    Remove(connection);
    TellWhenEmpty();
  }
  void TellWhenEmpty() {
    if (!draining_ || !connections_.empty()) return;
    const std::lock_guard lock(mu_);
    empty_ = true;
    changed_.notify_all();
  }

  const ServerOptions& options_;
  CertificateWatch* const certificates_;  // null without TLS
  const std::unique_ptr<Loop> loop_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Service> service_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  bool draining_ = false;
  std::mutex mu_;
  std::condition_variable changed_;
  bool empty_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options,
                                                      const ServiceFactory& factory) {
  ASSIGN_OR_RETURN(Address address, ParseAddress(options.listen));
  RETURN_IF_ERROR(Listener::CheckFree(address));
  auto server = std::unique_ptr<Server>(new Server(std::move(options)));
  if (const auto& tls = server->options_.tls) {
    ASSIGN_OR_RETURN(server->certificates_, CertificateWatch::Open(*tls));
  }
  const int threads = address.family() == AF_UNIX ? 1 : server->options_.threads;
  for (int i = 0; i < threads; ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<Loop> loop, Loop::Create());
    auto shard =
        std::make_unique<Shard>(std::move(loop), server->options_, server->certificates_.get());
    RETURN_IF_ERROR(shard->Listen(address));
    address = shard->address();  // the port that 0 became is for all
    server->shards_.push_back(std::move(shard));
  }
  server->address_ = address.text;
  for (const auto& shard : server->shards_) shard->Run(factory);
  return server;
}

Server::Server(ServerOptions options) : options_(std::move(options)) {}
Server::~Server() { Stop(); }

void Server::Drain(absl::Duration limit) {
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(limit);
  for (const auto& shard : shards_) shard->BeginDrain();
  for (const auto& shard : shards_) shard->AwaitEmpty(end);
  Stop();
}

void Server::Stop() {
  for (const auto& shard : shards_) shard->Stop();
}

}  // namespace torchfleet::net
