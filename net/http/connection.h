#pragma once
// A connection, whichever HTTP it speaks, as those who hold it see it.

#include "net/http/stream.h"
#include "net/loop/loop.h"

namespace torchfleet::net {

class Connection : public Mortal {
 public:
  // Whom a connection belongs to.
  class Owner {
   public:
    // A stream the peer opened: who handles it. Servers only; nobody refuses it.
    virtual StreamHandler* OnStream(Stream& stream) = 0;
    // It is over, and all its streams are closed.
    virtual void OnConnectionClosed(Connection& connection) = 0;

   protected:
    ~Owner() = default;
  };

  // No new streams; closed when the last one is.
  virtual void Drain() = 0;
  // At once; streams are told kConnectionLost.
  virtual void Close() = 0;
};

// What a client makes requests on, whichever HTTP it speaks.
class ClientConnection : public Connection {
 public:
  // A request: `:method`, `:scheme`, `:path`, `:authority` first. With `end` it
  // has no body. The handler is not called from inside this.
  virtual Stream* Open(const Headers& headers, bool end, StreamHandler& handler) = 0;
  virtual bool accepts_streams() const = 0;
  // Those that are open.
  virtual size_t streams() const = 0;
  // It was of no use: it ended before the peer had said anything, and not because
  // this side gave its requests up.
  virtual bool failed() const = 0;
};

}  // namespace torchfleet::net
