#pragma once
// A call on its way to another server behind this one, byte for byte, in the
// pace of the slower side: how a port on net/ has the methods that an ordinary
// gRPC server answers.
//
// Used again once both streams are closed. Only on its loop's thread.

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "net/buffer/free_list.h"
#include "net/client/links.h"
#include "net/http/stream.h"
#include "net/socket/address.h"

namespace torchfleet::net {

class PassedCallPool;

// How a call that was passed on ended, for a log.
struct PassedCallEnd {
  // The request's.
  const Headers& headers;
  absl::StatusCode code;
  absl::Duration duration;
  uint64_t bytes_in, bytes_out;
};

class PassedCall final : public StreamHandler {
 public:
  explicit PassedCall(PassedCallPool& pool) : pool_(pool), server_side_(*this) {}

  // `told`: the pool's on_end hears of its end.
  void Begin(Stream& caller, bool told);

 private:
  struct ServerSide final : StreamHandler {
    explicit ServerSide(PassedCall& owner) : call(owner) {}
    void OnHeaders(Stream& stream, bool end) override;
    void OnBody(Stream& stream, const Slice& bytes) override;
    void OnEnd(Stream& stream) override;
    void OnSent(Stream& stream, size_t count) override;
    void OnClosed(Stream& stream, CloseCode code) override;
    PassedCall& call;
  };

  void OnHeaders(Stream& stream, bool end) override;
  void OnBody(Stream& stream, const Slice& bytes) override;
  void OnEnd(Stream& stream) override;
  void OnSent(Stream& stream, size_t count) override;
  void OnClosed(Stream& stream, CloseCode code) override;
  void RecycleWhenClosed();
  // Tells how it ended; the first end is the one that counts.
  void Tell(absl::StatusCode code);

  PassedCallPool& pool_;
  ServerSide server_side_;
  Stream* caller_ = nullptr;
  Stream* server_ = nullptr;
  bool answered_ = false;  // the caller has been sent headers
  bool ended_ = false;     // and the end
  bool told_ = true;       // nobody waits to hear how it ended
  Instant began_;
  uint64_t bytes_in_ = 0, bytes_out_ = 0;
};

class PassedCallPool {
 public:
  using OnEnd = std::function<void(const PassedCallEnd&)>;

  PassedCallPool(Loop& loop, Address server, OnEnd on_end = nullptr);

  // `tell`: on_end is to hear of this call, where there is one.
  PassedCall& Take(Stream& caller, bool tell = true);

 private:
  friend class PassedCall;

  Loop& loop_;
  const Address server_;
  const OnEnd on_end_;
  Links links_;
  Headers headers_;
  FreeList<PassedCall> free_;
};

}  // namespace torchfleet::net
