#pragma once
// A connection that has not said yet which HTTP it speaks: HTTP/2 begins with its
// preface, all else is HTTP/1.
//
// Lifecycle: until Owner::OnGreeted takes the bytes over, or OnConnectionClosed.
// Only on its loop's thread.

#include <memory>
#include <string>

#include "net/buffer/block.h"
#include "net/http/connection.h"
#include "net/loop/loop.h"
#include "net/socket/byte_stream.h"

namespace torchfleet::net {

class Greeting final : public Connection, private Watcher, private TurnEnd {
 public:
  class Owner : public Connection::Owner {
   public:
    // `begun`: what was read of it.
    virtual void OnGreeted(Greeting& greeting, std::unique_ptr<ByteStream> bytes, bool http2,
                           Slice begun) = 0;

   protected:
    ~Owner() = default;
  };

  // Closed when it has not come by then.
  Greeting(Loop& loop, std::unique_ptr<ByteStream> bytes, absl::Duration limit, Owner& owner);
  ~Greeting() override;

  void Drain() override { Close(); }
  void Close() override;

 private:
  void OnEvents(uint32_t events) override;
  void OnTurnEnd() override;
  // What a TLS handshake has to send.
  void Write();

  Loop& loop_;
  std::unique_ptr<ByteStream> bytes_;
  Owner& owner_;
  Timer limit_;
  uint32_t events_;
  std::string begun_;
  bool told_ = false;
};

}  // namespace torchfleet::net
