#include "base/metrics.h"

#include <CivetServer.h>
#include <netinet/in.h>
#include <poll.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <iterator>
#include <thread>
#include <utility>

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

constexpr char kPlainText[] = "text/plain; charset=utf-8";

}  // namespace

// What is told at one path.
class OperatorServer::Page final : public CivetHandler {
 public:
  struct Content {
    int code = 200;
    const char* type = kPlainText;
    std::string text;
  };

  explicit Page(std::function<Content()> read) : read_(std::move(read)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    const Content content = read_();
    const std::string head = absl::StrCat("HTTP/1.1 ", content.code,
                                          content.code == 200 ? " OK" : " Service Unavailable",
                                          "\r\nContent-Type: ", content.type,
                                          "\r\nContent-Length: ", content.text.size(), "\r\n\r\n");
    mg_write(connection, head.data(), head.size());
    mg_write(connection, content.text.data(), content.text.size());
    return true;
  }

 private:
  const std::function<Content()> read_;
};

absl::StatusOr<std::unique_ptr<OperatorServer>> OperatorServer::Start(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the operators' address is '", listen, "'; expected host:port"));
  }
  auto owned = std::unique_ptr<OperatorServer>(new OperatorServer);
  OperatorServer* const server = owned.get();
  try {
    server->server_ = std::make_unique<CivetServer>(
        std::vector<std::string>{"listening_ports", listen, "num_threads", "1"});
  } catch (const std::exception&) {
    // civetweb's own text names no cause.
    return absl::UnavailableError(absl::StrCat("cannot listen on ", listen,
                                               " for operators: the address is in use or not "
                                               "this machine's; choose another with "
                                               "--operator-listen"));
  }
  const auto add = [server](const char* path, std::function<Page::Content()> read) {
    server->pages_.push_back(std::make_unique<Page>(std::move(read)));
    server->server_->addHandler(path, *server->pages_.back());
  };
  add("/metrics$", [server] {
    return Page::Content{200, "text/plain; version=0.0.4; charset=utf-8", server->Metrics()};
  });
  add("/healthz$", [] { return Page::Content{200, kPlainText, "alive\n"}; });
  add("/readyz$", [server] {
    const absl::Status ready = server->Ready();
    return ready.ok() ? Page::Content{200, kPlainText, "ready\n"}
                      : Page::Content{503, kPlainText, absl::StrCat(ready.message(), "\n")};
  });
  const auto ports = server->server_->getListeningPorts();
  server->address_ = absl::StrCat(listen.substr(0, colon), ":", ports.empty() ? 0 : ports[0]);
  return owned;
}

OperatorServer::~OperatorServer() {
  if (!server_) return;
  const auto ports = server_->getListeningPorts();
  // civetweb sees that it should stop every two seconds, and whenever somebody
  // connects; a process should not take that long to end.
  std::atomic<bool> stopped = ports.empty();
  std::thread knocker([&] {
    while (!stopped) {
      Knock(ports[0]);
      poll(nullptr, 0, 5);
    }
  });
  server_.reset();
  stopped = true;
  knocker.join();
}

void OperatorServer::Register(std::shared_ptr<prometheus::Collectable> collectable) {
  const std::lock_guard lock(mu_);
  collectables_.push_back(std::move(collectable));
}

void OperatorServer::SetReadiness(Readiness readiness) {
  const std::lock_guard lock(mu_);
  readiness_ = std::move(readiness);
}

void OperatorServer::Show(const std::string& path, std::function<std::string()> read) {
  auto page = std::make_unique<Page>([read = std::move(read)] {
    return Page::Content{200, "application/json; charset=utf-8", read()};
  });
  server_->addHandler(path + "$", *page);
  pages_.push_back(std::move(page));
}

std::string OperatorServer::Metrics() {
  const std::lock_guard lock(mu_);
  std::vector<prometheus::MetricFamily> families;
  for (const auto& collectable : collectables_) {
    auto collected = collectable->Collect();
    std::move(collected.begin(), collected.end(), std::back_inserter(families));
  }
  return prometheus::TextSerializer().Serialize(families);
}

absl::Status OperatorServer::Ready() {
  const std::lock_guard lock(mu_);
  return readiness_();
}

}  // namespace torchfleet
