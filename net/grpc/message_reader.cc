#include "net/grpc/message_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace torchfleet::net {
namespace {

// A message's bytes as they come. Grows with them, so that a size alone, which
// costs its sender nothing, takes little.
class GrowingBlock final : public Block {
 public:
  static GrowingBlock* Make() { return new GrowingBlock; }
  void Grow(size_t size) {
    auto* const data = static_cast<char*>(std::realloc(data_, size));
    if (data == nullptr) throw std::bad_alloc();
    data_ = data;
    size_ = size;
  }

 private:
  GrowingBlock() : Block(nullptr, 0, &Release) {}
  ~GrowingBlock() { std::free(data_); }
  static void Release(Block* block) { delete static_cast<GrowingBlock*>(block); }
};

constexpr size_t kFirstRoom = 1 << 20;

}  // namespace

size_t MessageReader::TakePrefix(std::string_view bytes) {
  const size_t count = std::min(bytes.size(), kGrpcPrefixSize - prefix_size_);
  std::memcpy(prefix_ + prefix_size_, bytes.data(), count);
  prefix_size_ += count;
  return count;
}

absl::Status MessageReader::CheckPrefix() {
  if (prefix_[0] != 0) {
    return absl::InternalError(fmt::format(
        "a message's first byte is {}; expected 0, as no encoding was agreed on", prefix_[0]));
  }
  size_ = 0;
  for (size_t i = 1; i < kGrpcPrefixSize; ++i) size_ = size_ << 8 | prefix_[i];
  if (size_ > limit_) {
    return absl::ResourceExhaustedError(
        fmt::format("a message has {} bytes; expected at most {}", size_, limit_));
  }
  return absl::OkStatus();
}

size_t MessageReader::Gather(std::string_view bytes, BlockPool& pool) {
  const size_t count = std::min(bytes.size(), size_ - seen_);
  Block* block = gathered_.block();
  if (block == nullptr) {
    block = size_ <= BlockPool::kBlockSize ? pool.Take() : GrowingBlock::Make();
    gathered_ = Slice(block, {});
    block->DropUse();
  }
  if (block->size() < seen_ + count) {
    const size_t doubled = std::max({kFirstRoom, 2 * block->size(), seen_ + count});
    static_cast<GrowingBlock*>(block)->Grow(std::min(size_, doubled));
  }
  std::memcpy(block->data() + seen_, bytes.data(), count);
  seen_ += count;
  gathered_ = Slice(block, {block->data(), seen_});
  return count;
}

absl::Status MessageReader::Watch(std::string_view bytes) {
  while (!bytes.empty()) {
    if (prefix_size_ < kGrpcPrefixSize) {
      bytes.remove_prefix(TakePrefix(bytes));
      if (prefix_size_ < kGrpcPrefixSize) return absl::OkStatus();
      if (absl::Status status = CheckPrefix(); !status.ok()) return status;
    }
    const size_t count = std::min(bytes.size(), size_ - seen_);
    bytes.remove_prefix(count);
    seen_ += count;
    if (seen_ == size_) prefix_size_ = seen_ = 0;
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::net
