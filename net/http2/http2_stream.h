#pragma once
// One stream of an Http2Connection. For the connection itself; others see Stream.

#include <nghttp2/nghttp2.h>

#include "net/buffer/slice_queue.h"
#include "net/http/stream.h"
#include "net/http2/connection.h"

namespace torchfleet::net {

class Http2Stream final : public Stream {
 public:
  explicit Http2Stream(Http2Connection& connection) : connection_(connection) {
    connection_number_ = connection.number_;
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
  friend class Http2Connection;

  // Ready for another request.
  void Clear();
  // There is more of the body, or its end.
  void Resume();
  bool Takes(bool end);

  Http2Connection& connection_;
  StreamHandler* handler_ = nullptr;
  int32_t id_ = 0;
  size_t place_ = 0;  // in the connection's open_
  bool headers_whole_ = false;
  bool too_large_ = false;  // its headers were over the limit
  bool sent_headers_ = false;
  bool body_ends_ = false;  // nothing follows what is in body_
  bool has_end_trailers_ = false;
  bool deferred_ = false;  // nghttp2 waits for Resume
  bool on_wire_ = false;   // the peer may know of it
  bool ending_ = false;    // this side ends it when the turn does
  bool body_owed_ = true;
  bool peer_ended_ = false;
  bool we_ended_ = false;
  size_t header_bytes_ = 0;
  size_t unconsumed_ = 0;
  Instant heard_;  // when any of the body came
  Instant sent_;   // when any of what waits left
  SliceQueue body_;
  Headers end_trailers_;
};

}  // namespace torchfleet::net
