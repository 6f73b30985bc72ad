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
#include <optional>
#include <string_view>
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

// What is left of a body that is too long is read so far, so that whoever sends
// it sees the answer.
constexpr size_t kMaxThrownAway = 16 * kMaxOperatorBody;

OperatorAnswer PlainAnswer(int code, std::string text) {
  return {.code = code, .body = std::move(text)};
}

std::string HeaderOf(const mg_connection* connection, const char* name) {
  const char* const value = mg_get_header(connection, name);
  return value ? value : "";
}

// The body; nothing when it is too long.
std::optional<std::string> ReadBody(mg_connection* connection) {
  std::string body;
  size_t total = 0;
  char piece[16384];
  for (int count; (count = mg_read(connection, piece, sizeof piece)) > 0;) {
    total += static_cast<size_t>(count);
    if (total <= kMaxOperatorBody) body.append(piece, static_cast<size_t>(count));
    if (total > kMaxThrownAway) break;
  }
  if (total > kMaxOperatorBody) return std::nullopt;
  return body;
}

void Send(mg_connection* connection, const OperatorAnswer& answer) {
  std::string head =
      absl::StrCat("HTTP/1.1 ", answer.code, " ", std::string(ReasonPhrase(answer.code)),
                   "\r\nContent-Type: ", answer.type, "\r\nContent-Length: ", answer.body.size(),
                   "\r\nConnection: close\r\n");
  for (const auto& [name, value] : answer.headers) {
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  absl::StrAppend(&head, "\r\n");
  mg_write(connection, head.data(), head.size());
  const std::string_view method = mg_get_request_info(connection)->request_method;
  if (method != "HEAD") mg_write(connection, answer.body.data(), answer.body.size());
}

}  // namespace

// Brings the requests for one page to it.
class OperatorServer::Handler final : public CivetHandler {
 public:
  explicit Handler(OperatorPage page) : page_(std::move(page)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handlePost(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handlePut(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handleDelete(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handlePatch(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handleHead(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handleOptions(CivetServer*, mg_connection* connection) override { return Serve(connection); }

 private:
  bool Serve(mg_connection* connection) const {
    Send(connection, AnswerTo(connection));
    return true;
  }

  OperatorAnswer AnswerTo(mg_connection* connection) const {
    const mg_request_info& info = *mg_get_request_info(connection);
    auto body = ReadBody(connection);
    if (!body) {
      return PlainAnswer(413, absl::StrCat("the body is too long; expected at most ",
                                           kMaxOperatorBody, " bytes\n"));
    }
    auto path = PathWords(info.local_uri_raw ? info.local_uri_raw : "");
    auto query = QueryParameters(info.query_string ? info.query_string : "");
    if (!path || !query) {
      return PlainAnswer(400, "the request's address has a % without two hexadecimal digits\n");
    }
    return page_({.method = info.request_method,
                  .path = *std::move(path),
                  .query = *std::move(query),
                  .content_type = HeaderOf(connection, "Content-Type"),
                  .if_match = HeaderOf(connection, "If-Match"),
                  .body = *std::move(body),
                  .peer = info.remote_addr});
  }

  const OperatorPage page_;
};

absl::StatusOr<std::unique_ptr<OperatorServer>> OperatorServer::Start(const std::string& listen,
                                                                      int threads) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the operators' address is '", listen, "'; expected host:port"));
  }
  auto owned = std::unique_ptr<OperatorServer>(new OperatorServer);
  OperatorServer* const server = owned.get();
  try {
    server->server_ = std::make_unique<CivetServer>(
        std::vector<std::string>{"listening_ports", listen, "num_threads", std::to_string(threads),
                                 // Pages decode what they read, NUL bytes too.
                                 "decode_url", "no"});
  } catch (const std::exception&) {
    // civetweb's own text names no cause.
    return absl::UnavailableError(absl::StrCat("cannot listen on ", listen,
                                               " for operators: the address is in use or not "
                                               "this machine's; choose another with "
                                               "--operator-listen"));
  }
  server->AddPage("/metrics$", [server](const OperatorRequest&) {
    return OperatorAnswer{.type = "text/plain; version=0.0.4; charset=utf-8",
                          .body = server->Metrics()};
  });
  server->AddPage("/healthz$", [](const OperatorRequest&) { return PlainAnswer(200, "alive\n"); });
  server->AddPage("/readyz$", [server](const OperatorRequest&) {
    const absl::Status ready = server->Ready();
    return ready.ok() ? PlainAnswer(200, "ready\n")
                      : PlainAnswer(503, absl::StrCat(ready.message(), "\n"));
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

void OperatorServer::AddPage(const std::string& path, OperatorPage page) {
  auto handler = std::make_unique<Handler>(std::move(page));
  server_->addHandler(path, *handler);
  const std::lock_guard lock(mu_);
  handlers_.push_back(std::move(handler));
}

void OperatorServer::SetReadiness(Readiness readiness) {
  const std::lock_guard lock(mu_);
  readiness_ = std::move(readiness);
}

std::string OperatorServer::Metrics() {
  std::vector<std::shared_ptr<prometheus::Collectable>> collectables;
  {
    const std::lock_guard lock(mu_);
    collectables = collectables_;
  }
  // Without the lock: readiness is asked for meanwhile.
  std::vector<prometheus::MetricFamily> families;
  for (const auto& collectable : collectables) {
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
