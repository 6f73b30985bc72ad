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
  virtual ssize_t Write(const iovec* parts, int count) = 0;
};

}  // namespace torchfleet::net
