#pragma once
// An HTTP/1.1 connection of a server: one request after the other, whose streams
// are as HTTP/2's.
//
//   awaiting a request ─► its body and its answer, side by side ─► awaiting …
//     └── an error, `Connection: close`, or Drain ─► lingering ─► closed
//
// Requests that come before their turn wait in the socket and in the one block
// that was read. A body that is not consumed stops the reading; an answer that
// the peer does not read waits here, up to a limit, and in its stream.
//
// A peer that closes while its request is being answered has gone: the stream is
// told kCancel. After an answer that came before the end of its request, what is
// left of that is read for a while and thrown away, so that the answer arrives.
//
// Lifecycle: made by its owner, who deletes it at the turn's end (DeleteLater)
//   after OnConnectionClosed. Only on its loop's thread.

#include <memory>
#include <string>

#include "net/buffer/slice_queue.h"
#include "net/http/connection.h"
#include "net/http/stream.h"
#include "net/http1/http1_reader.h"
#include "net/http2/options.h"
#include "net/loop/loop.h"
#include "net/socket/byte_stream.h"

namespace torchfleet::net {

class Http1Connection final : public Connection, private Watcher, private TurnEnd {
 public:
  // `options` outlive it; HTTP/1 has its own meaning for none of them. `begun`:
  // bytes of the first request that were read already.
  Http1Connection(Loop& loop, std::unique_ptr<ByteStream> bytes, const Http2Options& options,
                  Owner& owner, Slice begun);
  ~Http1Connection() override;

  void Drain() override;
  void Close() override;

 private:
  class RequestStream;
  friend class RequestStream;
  enum class State { kOpen, kLingering, kClosed };

  void OnEvents(uint32_t events) override;
  void OnTurnEnd() override;

  void ReadSocket();
  // Goes through what was read and not yet taken.
  void TakeRest();
  bool TakeEvent(Http1Reader::Event event);
  void BeginRequest();
  bool MayRead() const;
  void PeerClosed();
  void Refuse(int status, std::string_view text);

  void FillOutgoing();
  bool WriteSocket();
  void FinishRequest();
  void CloseStream(CloseCode code);
  void Linger();
  void CheckTimes();
  void UpdateEvents();
  void Flush() { loop_.AtTurnEnd(this); }

  Loop& loop_;
  const std::unique_ptr<ByteStream> bytes_;
  const Http2Options& options_;
  Owner& owner_;
  State state_ = State::kOpen;
  bool told_ = false;
  bool draining_ = false;

  Http1Reader reader_;
  Slice rest_;  // read, and not taken yet
  const std::unique_ptr<RequestStream> stream_;
  SliceQueue outgoing_;
  std::string scratch_;
  uint32_t events_;
  size_t lingered_ = 0;
  Instant since_;  // when the state or the request that is awaited began
  Instant heard_;  // when a byte of the request last came
  Instant wrote_;  // when the socket last took any
  Timer times_;
};

}  // namespace torchfleet::net
