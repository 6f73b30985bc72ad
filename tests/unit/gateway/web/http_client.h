#pragma once
// One HTTP/2 request after the other, each waited for.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http2/connection.h"
#include "net/loop/loop.h"

namespace torchfleet::gateway {

struct HttpAnswer {
  int status = 0;
  net::Headers headers;
  std::string body;
  net::Headers trailers;
  // The stream ended as it should.
  bool whole = false;

  std::string header(std::string_view name) const { return std::string(headers.ValueOr(name, "")); }
};

class HttpClient final : private net::Http2Connection::Owner, private net::StreamHandler {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  explicit HttpClient(const std::string& address);
  ~HttpClient();

  HttpAnswer Call(std::string_view method, std::string_view path, std::string_view body = {},
                  const Fields& fields = {});

 private:
  net::StreamHandler* OnStream(net::Stream&) override { return nullptr; }
  void OnConnectionClosed(net::Connection&) override { loop_->Stop(); }
  void OnHeaders(net::Stream& stream, bool end) override;
  void OnBody(net::Stream& stream, const net::Slice& bytes) override;
  void OnEnd(net::Stream& stream) override;
  void OnSent(net::Stream&, size_t) override {}
  void OnClosed(net::Stream&, net::CloseCode) override { loop_->Stop(); }

  const std::unique_ptr<net::Loop> loop_;
  const net::Http2Options options_;
  std::unique_ptr<net::Http2Connection> connection_;
  HttpAnswer answer_;
};

}  // namespace torchfleet::gateway
