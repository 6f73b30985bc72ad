#pragma once
// One request and its answer, on whichever version of HTTP, from the side of a
// server or of a client.
//
//   server: OnHeaders (request) ─► OnBody … ─► OnEnd      SendHeaders ─► Send … ─► end
//   client: SendHeaders (request) ─► Send … ─► end        OnHeaders (answer) ─► OnBody … ─► OnEnd
//   both directions on their own; last of all, always: OnClosed
//
// Body bytes that came count against the peer's window until Consumed gives
// them back: who is slow to use them slows the peer. Body bytes that go wait in
// the stream until the peer's window and the connection have room; OnSent says
// how many have left, so that whoever feeds it can keep pace.
//
// A Stream is valid until OnClosed returns. Only on its loop's thread.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/buffer/block.h"
#include "net/http/headers.h"

namespace torchfleet::net {

class Stream;

// Why a stream closed, with HTTP/2's numbers (RFC 9113, section 7).
enum class CloseCode : uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kFlowControlError = 3,
  kStreamClosed = 5,
  // The peer never looked at it: it may be tried again elsewhere.
  kRefusedStream = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
  // Not HTTP/2's: the connection broke under the stream.
  kConnectionLost = 0x100,
  // Not HTTP/2's: the connection could not be made, or had said goodbye before.
  kNeverSent = 0x101,
};

class StreamHandler {
 public:
  // A request's or an answer's headers; `end`: no body follows, and no OnEnd.
  virtual void OnHeaders(Stream& stream, bool end) = 0;
  // Some of the body. The bytes are the loop's and gone after this, unless a
  // Slice of them is kept.
  virtual void OnBody(Stream& stream, const Slice& bytes) = 0;
  // The body is whole; trailers, if there are any, are in stream.trailers().
  virtual void OnEnd(Stream& stream) = 0;
  // So many bytes of the body that Send took have left the stream.
  virtual void OnSent(Stream& stream, size_t count) = 0;
  // The last call, once, however the stream ended.
  virtual void OnClosed(Stream& stream, CloseCode code) = 0;

 protected:
  ~StreamHandler() = default;
};

// For a connection that begins.
uint64_t NextConnectionNumber();

class Stream {
 public:
  virtual ~Stream() = default;

  // The peer's. `:method`, `:path`, `:authority`, `:status` are among them.
  const Headers& headers() const { return headers_; }
  const Headers& trailers() const { return trailers_; }

  // A server's answer: `:status` first. Once; before Send and SendTrailers.
  virtual void SendHeaders(const Headers& headers, bool end) = 0;
  virtual void Send(Slice body, bool end) = 0;
  virtual void SendCopy(std::string_view body, bool end) = 0;
  // Ends the body.
  virtual void SendTrailers(const Headers& trailers) = 0;
  // Ends the stream both ways; OnClosed follows, never from inside this.
  virtual void Reset(CloseCode code) = 0;
  // Gives `count` bytes of the peer's window back.
  virtual void Consumed(size_t count) = 0;
  // Whether the peer owes the body's next bytes now, as it does when it has not
  // been said otherwise: a server gives up a body that is owed and does not come.
  virtual void AwaitBody(bool owed) = 0;
  // Body bytes that Send took and that have not left.
  virtual size_t waiting() const = 0;
  // The same for all streams of a connection, and for those of no other that this
  // process ever had; 0 for a stream of none.
  uint64_t connection() const { return connection_number_; }

 protected:
  uint64_t connection_number_ = 0;
  Headers headers_;
  Headers trailers_;
};

}  // namespace torchfleet::net
