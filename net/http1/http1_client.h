#pragma once
// An HTTP/1.1 connection of a client: one request after the other, whose streams
// are as HTTP/2's.
//
//   free ─Open─► its request and its answer, side by side ─► free …
//     └── an error, `Connection: close`, a reset, or the peer ─► closed
//
// A request whose answer comes before its own end costs the connection, as does
// one that is reset. Trailers of a request are not sent.
//
// Lifecycle: made by its owner, who deletes it at the turn's end (DeleteLater)
//   after OnConnectionClosed. Only on its loop's thread.

#include <memory>
#include <optional>
#include <string>

#include "net/buffer/slice_queue.h"
#include "net/http/connection.h"
#include "net/http/stream.h"
#include "net/http1/http1_reader.h"
#include "net/http2/options.h"
#include "net/loop/loop.h"
#include "net/socket/byte_stream.h"

namespace torchfleet::net {

class Http1Client final : public ClientConnection, private Watcher, private TurnEnd {
 public:
  // `options` outlive it; of their times, `idle` counts.
  Http1Client(Loop& loop, std::unique_ptr<ByteStream> bytes, const Http2Options& options,
              Owner& owner);
  ~Http1Client() override;

  // Only when accepts_streams(): with `content-length` among the headers or in
  // chunks, or, with `end`, without a body.
  Stream* Open(const Headers& headers, bool end, StreamHandler& handler) override;
  bool accepts_streams() const override { return open_ && !draining_ && !stream_.handler_; }
  size_t streams() const override { return stream_.handler_ ? 1 : 0; }
  bool failed() const override { return !open_ && !heard_ && !gave_up_; }

  void Drain() override;
  void Close() override;

 private:
  class AnswerStream final : public Stream {
   public:
    explicit AnswerStream(Http1Client& connection) : connection_(connection) {}

    void SendHeaders(const Headers&, bool) override {}
    void Send(Slice body, bool end) override;
    void SendCopy(std::string_view body, bool end) override;
    void SendTrailers(const Headers&) override { Send(Slice(), /*end=*/true); }
    void Reset(CloseCode code) override;
    void Consumed(size_t count) override;
    void AwaitBody(bool) override {}
    size_t waiting() const override { return body_.size(); }

   private:
    friend class Http1Client;
    bool Takes(bool end);

    Http1Client& connection_;
    StreamHandler* handler_ = nullptr;
    bool chunked_ = false;
    bool ends_ = false;     // nothing follows what is in body_
    bool written_ = false;  // the request, to its end
    bool answered_ = false;
    size_t unconsumed_ = 0;
    std::optional<CloseCode> reset_;
    SliceQueue body_;
  };

  void OnEvents(uint32_t events) override;
  void OnTurnEnd() override;

  bool MayRead() const;
  bool ReadSocket();
  void ReadLast();
  void TakeRest();
  bool TakeEvent(Http1Reader::Event event);
  void PeerClosed(bool cleanly);
  void FillOutgoing();
  void FinishRequest();
  bool WriteSocket();
  void UpdateEvents();
  void Break(CloseCode code);
  void Tell(CloseCode code);
  void Flush() { loop_.AtTurnEnd(this); }

  Loop& loop_;
  const std::unique_ptr<ByteStream> bytes_;
  const Http2Options& options_;
  Owner& owner_;
  bool open_ = true;
  bool draining_ = false;
  bool told_ = false;
  bool wrote_ = false;  // anything of the request that is open
  bool heard_ = false;
  bool gave_up_ = false;  // by a reset
  bool to_head_ = false;

  Http1Reader reader_;
  Slice rest_;  // read, and not taken yet
  AnswerStream stream_;
  SliceQueue outgoing_;
  std::string scratch_;
  uint32_t events_;
  Timer idle_;
};

}  // namespace torchfleet::net
