#include "base/metrics.h"

#include <netinet/in.h>
#include <poll.h>
#include <prometheus/exposer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <thread>

#include "absl/strings/str_cat.h"

namespace torchfleet {
namespace {

// Connects to `port` on this machine and hangs up.
void Knock(int port) {
  const int knock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (knock < 0) return;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(knock, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    pollfd connected{.fd = knock, .events = POLLOUT, .revents = 0};
    poll(&connected, 1, 10);
  }
  close(knock);
}

}  // namespace

absl::StatusOr<std::unique_ptr<OperatorServer>> OperatorServer::Start(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the operators' address is '", listen, "'; expected host:port"));
  }
  auto server = std::unique_ptr<OperatorServer>(new OperatorServer);
  try {
    server->exposer_ = std::make_unique<prometheus::Exposer>(listen, 1);
  } catch (const std::exception&) {
    // civetweb's own text names no cause.
    return absl::UnavailableError(absl::StrCat("cannot listen on ", listen,
                                               " for operators: the address is in use or not "
                                               "this machine's; choose another with "
                                               "--operator-listen"));
  }
  server->exposer_->RegisterCollectable(server->registry_);
  const auto ports = server->exposer_->GetListeningPorts();
  server->address_ = absl::StrCat(listen.substr(0, colon), ":", ports.empty() ? 0 : ports[0]);
  return server;
}

OperatorServer::~OperatorServer() {
  if (!exposer_) return;
  const auto ports = exposer_->GetListeningPorts();
  // civetweb sees that it should stop every two seconds, and whenever somebody
  // connects; a process should not take that long to end.
  std::atomic<bool> stopped = ports.empty();
  std::thread knocker([&] {
    while (!stopped) {
      Knock(ports[0]);
      poll(nullptr, 0, 5);
    }
  });
  exposer_.reset();
  stopped = true;
  knocker.join();
}

void OperatorServer::Register(std::shared_ptr<prometheus::Collectable> collectable) {
  exposer_->RegisterCollectable(collectable);
  const std::lock_guard lock(mu_);
  collectables_.push_back(std::move(collectable));
}

}  // namespace torchfleet
