#pragma once
// The request that an Http1Connection serves. For the connection itself; others
// see Stream.

#include <cstdint>
#include <optional>
#include <utility>

#include "net/buffer/slice_queue.h"
#include "net/http/stream.h"
#include "net/http1/http1_connection.h"
#include "net/http1/http1_writer.h"

namespace torchfleet::net {

class Http1Connection::RequestStream final : public Stream {
 public:
  explicit RequestStream(Http1Connection& connection) : connection_(connection) {
    connection_number_ = NextConnectionNumber();
  }

  void SendHeaders(const Headers& headers, bool end) override;
  void Send(Slice body, bool end) override;
  void SendCopy(std::string_view body, bool end) override;
  void SendTrailers(const Headers& trailers) override;
  void Reset(CloseCode code) override;
  void Consumed(size_t count) override;
  void AwaitBody(bool owed) override { body_owed_ = owed; }
  size_t waiting() const override { return body_.size(); }

 private:
  friend class Http1Connection;

  // Ready for another request.
  void Clear();
  bool Takes(bool end);
  BodyEnd EndOf(const Headers& headers, bool end) const;

  Http1Connection& connection_;
  StreamHandler* handler_ = nullptr;
  bool request_ended_ = false;
  bool body_owed_ = true;
  size_t unconsumed_ = 0;

  bool sent_headers_ = false;
  bool bodiless_ = false;  // what is sent as body is not to go
  bool ends_ = false;      // nothing follows what is in body_
  bool end_written_ = false;
  bool keep_alive_ = false;
  BodyEnd end_ = BodyEnd::kNoBody;
  // Of the length that the head told.
  std::optional<uint64_t> promised_;
  std::optional<CloseCode> reset_;
  SliceQueue body_;
  Headers end_trailers_;
};

}  // namespace torchfleet::net
