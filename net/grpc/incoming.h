#pragma once
// The half of a gRPC call that comes in, the same on both sides: its messages,
// and when the peer gets its window back.
//
//   whole messages   a byte is given back as it comes, unless the peer is held
//                    back: then it stops when its window is used up
//   cut-through      bytes go on as they come; whoever takes them gives them back
//
// Only on its loop's thread.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "net/grpc/message_reader.h"
#include "net/http/stream.h"

namespace torchfleet::net {

class GrpcIncoming {
 public:
  GrpcIncoming(size_t message_limit, BlockPool& pool) : reader_(message_limit), pool_(pool) {}

  void Begin() {
    reader_.Clear();
    cut_through_ = false;
    reasons_ = 0;
    kept_ = 0;
  }

  bool cut_through() const { return cut_through_; }
  void CutThrough() { cut_through_ = true; }

  // Part of the body. The status is the reader's.
  template <typename OnMessage, typename OnBytes>
  absl::Status Take(Stream& stream, const Slice& bytes, OnMessage on_message, OnBytes on_bytes) {
    if (cut_through_) {
      absl::Status status = reader_.Watch(bytes.bytes());
      stream.AwaitBody(!reader_.AtBoundary());
      if (status.ok()) on_bytes(bytes);
      return status;
    }
    if (reasons_ == 0) {
      stream.Consumed(bytes.size());
    } else {
      kept_ += bytes.size();
    }
    absl::Status status = reader_.Take(bytes, pool_, std::move(on_message));
    stream.AwaitBody(!reader_.AtBoundary());
    return status;
  }
  bool AtBoundary() const { return reader_.AtBoundary(); }

  // Why the peer gets nothing back for now; it does when no reason is left.
  enum Reason : uint8_t { kHandlerBusy = 1, kPeerReadsSlowly = 2 };
  void HoldBack(Reason reason) { reasons_ |= reason; }
  void GoOn(Reason reason, Stream& stream) {
    reasons_ = static_cast<uint8_t>(reasons_ & ~reason);
    if (reasons_ == 0) stream.Consumed(std::exchange(kept_, 0));
  }

 private:
  MessageReader reader_;
  BlockPool& pool_;
  bool cut_through_ = false;
  uint8_t reasons_ = 0;
  size_t kept_ = 0;  // taken, and not given back
};

// A message with its prefix.
inline void SendGrpcMessage(Stream& stream, std::string_view message) {
  char prefix[kGrpcPrefixSize];
  WriteGrpcPrefix(message.size(), prefix);
  stream.SendCopy({prefix, sizeof prefix}, /*end=*/false);
  stream.SendCopy(message, /*end=*/false);
}
inline void SendGrpcMessage(Stream& stream, Slice message) {
  char prefix[kGrpcPrefixSize];
  WriteGrpcPrefix(message.size(), prefix);
  stream.SendCopy({prefix, sizeof prefix}, /*end=*/false);
  stream.Send(std::move(message), /*end=*/false);
}

}  // namespace torchfleet::net
