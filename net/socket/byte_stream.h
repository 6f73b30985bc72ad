#pragma once
// Bytes in and out of a connection, without waiting: the seam under HTTP, for
// plain sockets and for encrypted ones.
//
// Owns the descriptor. Only on its loop's thread.

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>

namespace torchfleet::net {

class ByteStream {
 public:
  // What Read and Write say besides a number of bytes.
  static constexpr ssize_t kEnd = 0;      // the peer has closed
  static constexpr ssize_t kWait = -1;    // nothing now: wait for the socket
  static constexpr ssize_t kBroken = -2;  // never again

  virtual ~ByteStream() = default;

  virtual int fd() const = 0;
  virtual ssize_t Read(char* room, size_t size) = 0;
  // May be called without parts, for what WantsToWrite says.
  virtual ssize_t Write(const iovec* parts, int count) = 0;

  // Bytes are here that the last Read had no room for: the socket will not say
  // so, and Read is to be called again.
  virtual bool has_more() const { return false; }
  // Writable is worth waiting for. `more`: somebody has bytes for Write.
  virtual bool WantsToWrite(bool more) const { return more; }
  // Nothing more will be written; the peer learns it if it can.
  virtual void EndWriting() {}
};

}  // namespace torchfleet::net
