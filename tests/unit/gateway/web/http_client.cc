#include "tests/unit/gateway/web/http_client.h"

#include <string>

#include "net/socket/socket_stream.h"

namespace torchfleet::gateway {

HttpClient::HttpClient(const std::string& address) : loop_(*net::Loop::Create()) {
  connection_ = std::make_unique<net::Http2Connection>(
      net::Http2Connection::Role::kClient, *loop_,
      *net::SocketStream::Connect(*net::ParseAddress(address)), options_,
      static_cast<net::Http2Connection::Owner&>(*this));
}

HttpClient::~HttpClient() { connection_.reset(); }

HttpAnswer HttpClient::Call(std::string_view method, std::string_view path, std::string_view body,
                            const Fields& fields) {
  answer_ = {};
  net::Headers headers;
  headers.Add(":method", method);
  headers.Add(":scheme", "http");
  headers.Add(":path", path);
  headers.Add(":authority", "test");
  for (const auto& [name, value] : fields) headers.Add(name, value);
  net::Stream* const stream = connection_->Open(headers, body.empty(), *this);
  if (!body.empty()) stream->SendCopy(body, /*end=*/true);
  loop_->Run();
  return std::move(answer_);
}

void HttpClient::OnHeaders(net::Stream& stream, bool end) {
  answer_.status = std::stoi(std::string(stream.headers().ValueOr(":status", "0")));
  answer_.headers = stream.headers();
  answer_.whole = end;
}

void HttpClient::OnBody(net::Stream& stream, const net::Slice& bytes) {
  answer_.body += bytes.bytes();
  stream.Consumed(bytes.size());
}

void HttpClient::OnEnd(net::Stream& stream) {
  answer_.trailers = stream.trailers();
  answer_.whole = true;
}

}  // namespace torchfleet::gateway
