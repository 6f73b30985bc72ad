#pragma once
// What a server holds of a connection, whichever HTTP it speaks.

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

}  // namespace torchfleet::net
