#include "cli/client/operator_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_split.h"
#include "base/status.h"
#include "cli/state/fleet_file.h"
#include "net/client/connection_pool.h"
#include "net/loop/loop.h"
#include "nlohmann/json.hpp"

namespace torchfleet::cli {
namespace {

// Of 100,000 workers.
constexpr size_t kLongestAnswer = 128 << 20;

// What it says of an error, which is JSON where the page is ours.
std::string ErrorText(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("error") && json["error"].is_string()) {
    return Clip(json["error"].get<std::string>(), kMaxErrorText);
  }
  return Clip(body);
}

// One request and its answer.
class Question final : private net::StreamHandler {
 public:
  Question(net::Loop& loop, const std::string& address, std::function<void()> done)
      : address_(address), done_(std::move(done)), timer_(loop, [this] { OnTime(); }) {
    auto resolved = net::ParseAddress(address);
    if (!resolved.ok()) {
      outcome_ = absl::UnavailableError(resolved.status().message());
      return;
    }
    connections_.emplace(loop, *std::move(resolved),
                         net::ConnectionPool::Options{.http = net::ConnectionPool::Http::k1,
                                                      .connections = 1,
                                                      .limits = {},
                                                      .tls = nullptr,
                                                      .server_name = ""});
  }

  // Whether there will be an end.
  bool Ask(std::string_view method, const std::string& path, absl::Duration timeout) {
    net::ClientConnection* const connection = connections_ ? connections_->Choose() : nullptr;
    if (!connection) return false;
    net::Headers headers;
    headers.Add(":method", method);
    headers.Add(":scheme", "http");
    headers.Add(":path", path);
    headers.Add(":authority", connections_->authority());
    timer_.Start(timeout);
    stream_ = connection->Open(headers, /*end=*/true, *this);
    return stream_ != nullptr;
  }

  absl::StatusOr<std::string> outcome() const {
    if (!outcome_.ok()) return outcome_;
    if (code_ == "200" && whole_) return body_;
    if (!whole_) {
      return absl::UnavailableError(
          fmt::format("{} does not answer as a gateway's operators' port", address_));
    }
    const std::string text = fmt::format("{} answered {}: {}", address_, code_, ErrorText(body_));
    return code_ == "404" ? absl::NotFoundError(text) : absl::InternalError(text);
  }

 private:
  void OnTime() {
    outcome_ = absl::UnavailableError(fmt::format("{} does not answer in time", address_));
    if (stream_) stream_->Reset(net::CloseCode::kCancel);
  }
  void OnHeaders(net::Stream& stream, bool end) override {
    code_ = stream.headers().ValueOr(":status", "");
    whole_ = end;
  }
  void OnBody(net::Stream& stream, const net::Slice& bytes) override {
    if (body_.size() + bytes.size() <= kLongestAnswer) body_.append(bytes.bytes());
    stream.Consumed(bytes.size());
  }
  void OnEnd(net::Stream&) override { whole_ = true; }
  void OnSent(net::Stream&, size_t) override {}
  void OnClosed(net::Stream&, net::CloseCode code) override {
    timer_.Stop();
    stream_ = nullptr;
    if (outcome_.ok() && !whole_ && code == net::CloseCode::kNeverSent) {
      outcome_ = absl::UnavailableError(fmt::format("{} cannot be reached", address_));
    }
    done_();
  }

  const std::string address_;
  const std::function<void()> done_;
  net::Timer timer_;
  net::Stream* stream_ = nullptr;
  std::string code_, body_;
  bool whole_ = false;
  absl::Status outcome_;
  std::optional<net::ConnectionPool> connections_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> GatewayOperators(const std::string& named) {
  std::vector<std::string> addresses;
  if (!named.empty()) {
    for (const absl::string_view address : absl::StrSplit(named, ',', absl::SkipWhitespace())) {
      addresses.emplace_back(address);
    }
  } else if (const auto fleet = ReadFleetFile()) {
    for (const FleetProcess& process : fleet->processes) {
      if (process.role == "gateway" && !process.operator_address.empty()) {
        addresses.push_back(process.operator_address);
      }
    }
  }
  if (!addresses.empty()) return addresses;
  return absl::UnavailableError(
      "no gateway runs here; start one with torchfleet up, or name the operators' ports of "
      "gateways with --operators");
}

std::vector<OperatorReply> AskOperators(const std::vector<std::string>& addresses,
                                        std::string_view method, const std::string& path,
                                        absl::Duration timeout) {
  std::vector<OperatorReply> replies;
  auto loop = net::Loop::Create();
  if (!loop.ok()) {
    for (const std::string& address : addresses) replies.push_back({address, loop.status()});
    return replies;
  }
  size_t open = 0;
  std::vector<std::unique_ptr<Question>> questions;
  for (const std::string& address : addresses) {
    questions.push_back(std::make_unique<Question>(**loop, address, [&] {
      if (--open == 0) (*loop)->Stop();
    }));
  }
  (*loop)->Post([&] {
    for (const auto& question : questions) open += question->Ask(method, path, timeout) ? 1 : 0;
    if (open == 0) (*loop)->Stop();
  });
  (*loop)->Run();
  for (size_t i = 0; i < addresses.size(); ++i) {
    replies.push_back({addresses[i], questions[i]->outcome()});
  }
  return replies;
}

}  // namespace torchfleet::cli
