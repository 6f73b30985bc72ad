#pragma once
// An HTTP/2 connection, of a server or of a client, on nghttp2.
//
//   open ──Drain, or GOAWAY came──► draining: its streams finish, no new ones
//     └── broken, or the peer broke the rules ─┴─► closed (told once)
//
// One read when its socket is readable, one write at the end of a turn for all
// of its streams. Streams and what they hold are used again.
//
// Lifecycle: made by its owner, who deletes it at the turn's end (DeleteLater)
//   after OnConnectionClosed. Its destruction closes what streams are left.
// Only on its loop's thread.

#include <nghttp2/nghttp2.h>

#include <memory>
#include <vector>

#include "net/buffer/free_list.h"
#include "net/buffer/slice_queue.h"
#include "net/http/connection.h"
#include "net/http/stream.h"
#include "net/http2/options.h"
#include "net/http2/token_bucket.h"
#include "net/loop/loop.h"
#include "net/socket/byte_stream.h"

namespace torchfleet::net {

class Http2Stream;

class Http2Connection final : public ClientConnection, private Watcher, private TurnEnd {
 public:
  enum class Role { kServer, kClient };

  // `options` outlive it. `begun`: what a peer has said already.
  Http2Connection(Role role, Loop& loop, std::unique_ptr<ByteStream> bytes,
                  const Http2Options& options, Owner& owner, Slice begun = {});
  ~Http2Connection() override;

  // Clients only. A connection that takes no more streams says so by
  // OnClosed(kNeverSent), from the loop.
  Stream* Open(const Headers& headers, bool end, StreamHandler& handler) override;
  bool accepts_streams() const override { return state_ == State::kOpen; }
  size_t streams() const override { return open_.size(); }
  bool failed() const override { return state_ == State::kClosed && !heard_anything_; }

  void Drain() override;
  void Close() override;

 private:
  friend class Http2Stream;
  enum class State { kOpen, kDraining, kClosed };

  void OnEvents(uint32_t events) override;
  void OnTurnEnd() override;

  static nghttp2_session_callbacks* Callbacks();
  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame*, void* self);
  static int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t flags, void* self);
  static int OnFrame(nghttp2_session*, const nghttp2_frame*, void* self);
  static int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd*, void* self);
  static int OnData(nghttp2_session*, uint8_t flags, int32_t id, const uint8_t* data, size_t size,
                    void* self);
  static int OnInvalidFrame(nghttp2_session*, const nghttp2_frame*, int error, void* self);
  static int OnFrameNotSent(nghttp2_session*, const nghttp2_frame*, int error, void* self);
  static int OnFrameSent(nghttp2_session*, const nghttp2_frame*, void* self);
  static int OnStreamClose(nghttp2_session*, int32_t id, uint32_t code, void* self);
  static ssize_t FrameSize(nghttp2_session*, uint8_t type, int32_t id, int32_t connection_window,
                           int32_t stream_window, uint32_t most, void* self);
  static ssize_t ReadBody(nghttp2_session*, int32_t id, uint8_t*, size_t size, uint32_t* flags,
                          nghttp2_data_source* source, void* self);
  static int SendBody(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t size,
                      nghttp2_data_source* source, void* self);

  void MakeSession();
  void ReadSocket();
  void Receive(Block* block, std::string_view bytes);
  void HeadersAreWhole(Http2Stream& stream, const nghttp2_frame& frame);
  void Flush() { loop_.AtTurnEnd(this); }
  uint32_t Events() const;
  bool WriteSocket();
  bool FillOutgoing();
  bool Finished() const;
  void SayGoodbye();
  void Punish();
  void CheckTimes();
  absl::Duration UntilNextCheck() const;

  Http2Stream* NewStream();
  // Its handler hears no more of it.
  void Detach(Http2Stream& stream, CloseCode code);
  void CloseStream(Http2Stream& stream, CloseCode code);
  // At the turn's end: whatever the peer does, and whether or not it reads.
  void EndLater(Http2Stream& stream, CloseCode code);
  void EndStreams();
  Http2Stream* Find(int32_t id);
  // Whether the peer had passed over this number when it last left some out:
  // such a stream is closed and was never open (RFC 9113, section 5.1.1).
  bool PassedOver(int32_t id);
  const nghttp2_nv* Fields(const Headers& headers);

  const Role role_;
  Loop& loop_;
  const std::unique_ptr<ByteStream> bytes_;
  const Http2Options& options_;
  Owner& owner_;
  nghttp2_session* session_ = nullptr;
  State state_ = State::kOpen;
  bool told_ = false;
  bool waits_to_write_ = false;
  // A client's connection has taken bytes: the peer may have seen a request.
  bool wrote_ = false;
  bool heard_anything_ = false;
  // A server's last word on which streams it will serve is said.
  bool goodbye_ = false;

  Slice begun_;
  SliceQueue outgoing_;
  Block* receiving_block_ = nullptr;
  Http2Stream* receiving_headers_ = nullptr;  // whose header block is being read
  std::vector<Http2Stream*> open_;
  const uint64_t number_ = NextConnectionNumber();
  FreeList<Http2Stream> free_;
  // Streams that this side ends.
  struct Ending {
    Http2Stream* stream;
    CloseCode code;
  };
  std::vector<Ending> ending_;
  std::vector<nghttp2_nv> fields_;

  TokenBucket resets_;
  TokenBucket pings_;
  Instant heard_;  // when the peer last sent anything
  Instant busy_;   // when it last had a stream
  // The highest number of the peer's streams, and those it last left out.
  int32_t highest_ = -1;
  int32_t passed_from_ = 0, passed_to_ = 0;

  // Since when a header block is due, and its stream; the preface's is 0. Zero
  // when none is.
  Instant headers_since_;
  int32_t headers_of_ = 0;
  Instant pinged_;  // when a ping went that is not answered; zero when none
  Timer times_;
  Timer goodbye_timer_;
};

}  // namespace torchfleet::net
