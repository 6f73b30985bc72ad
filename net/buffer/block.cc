#include "net/buffer/block.h"

#include <cstdlib>

namespace torchfleet::net {
namespace {

class KeptString final : public Block {
 public:
  static Slice Make(std::string bytes) {
    auto* const kept = new KeptString(new std::string(std::move(bytes)));
    Slice slice(kept, *kept->bytes_);
    kept->DropUse();
    return slice;
  }

 private:
  explicit KeptString(std::string* bytes)
      : Block(bytes->data(), bytes->size(), &Release), bytes_(bytes) {}
  static void Release(Block* block) { delete static_cast<KeptString*>(block); }
  const std::unique_ptr<std::string> bytes_;
};

class KeptOwner final : public Block {
 public:
  static Slice Make(std::shared_ptr<const void> owner, std::string_view bytes) {
    auto* const kept = new KeptOwner(std::move(owner), bytes);
    Slice slice(kept, bytes);
    kept->DropUse();
    return slice;
  }

 private:
  KeptOwner(std::shared_ptr<const void> owner, std::string_view bytes)
      : Block(const_cast<char*>(bytes.data()), bytes.size(), &Release), owner_(std::move(owner)) {}
  static void Release(Block* block) { delete static_cast<KeptOwner*>(block); }
  const std::shared_ptr<const void> owner_;
};

}  // namespace

class BlockPool::Pooled final : public Block {
 public:
  explicit Pooled(BlockPool& pool)
      : Block(static_cast<char*>(std::malloc(kBlockSize)), kBlockSize, &BlockPool::Release),
        pool_(pool) {}
  ~Pooled() { std::free(data()); }
  BlockPool& pool() { return pool_; }

 private:
  BlockPool& pool_;
};

Slice Slice::Keep(std::string bytes) { return KeptString::Make(std::move(bytes)); }

Slice Slice::Keep(std::shared_ptr<const void> owner, std::string_view bytes) {
  return KeptOwner::Make(std::move(owner), bytes);
}

Slice Slice::Cut(size_t count) {
  Slice front(block_, bytes_.substr(0, count));
  bytes_.remove_prefix(count);
  return front;
}

BlockPool::~BlockPool() {
  if (reading_) reading_->DropUse();
  for (Pooled* block : free_) delete block;
}

Block* BlockPool::Take() {
  if (free_.empty()) return new Pooled(*this);
  Pooled* const block = free_.back();
  free_.pop_back();
  block->uses_ = 1;
  return block;
}

void BlockPool::Release(Block* block) {
  auto* const pooled = static_cast<Pooled*>(block);
  BlockPool& pool = pooled->pool();
  if (pool.free_.size() < kMostFree) {
    pool.free_.push_back(pooled);
  } else {
    delete pooled;
  }
}

BlockPool::Room BlockPool::ReadRoom() {
  if (reading_ && !reading_->shared()) read_to_ = 0;
  if (!reading_ || reading_->size() - read_to_ < kLeastRead) {
    if (reading_) reading_->DropUse();
    reading_ = Take();
    read_to_ = 0;
  }
  return {reading_, reading_->data() + read_to_, reading_->size() - read_to_};
}

void BlockPool::Filled(size_t count) { read_to_ += count; }

}  // namespace torchfleet::net
