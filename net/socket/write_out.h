#pragma once
// Bytes on their way out, into a ByteStream.

#include "net/buffer/slice_queue.h"
#include "net/socket/byte_stream.h"

namespace torchfleet::net {

enum class WriteResult {
  // All that was described, so there may be room for more.
  kAll,
  // Less: wait for the socket.
  kSome,
  kNothing,
  kBroken,
};

// One write of the queue's first bytes, which leave it.
inline WriteResult WriteOut(SliceQueue& queue, ByteStream& bytes) {
  constexpr int kMostParts = 64;
  iovec parts[kMostParts];
  const int count = queue.Describe(parts, kMostParts);
  const ssize_t written = bytes.Write(parts, count);
  if (written == ByteStream::kBroken) return WriteResult::kBroken;
  if (written == ByteStream::kWait) return WriteResult::kNothing;
  size_t described = 0;
  for (int i = 0; i < count; ++i) described += parts[i].iov_len;
  queue.Drop(static_cast<size_t>(written));
  return static_cast<size_t>(written) < described ? WriteResult::kSome : WriteResult::kAll;
}

}  // namespace torchfleet::net
