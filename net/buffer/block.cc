#include "net/buffer/block.h"

#include <cstdlib>

namespace torchfleet::net {
namespace {

class KeptString final : public Block {
 public:
  static Slice Make(std::string bytes) {
    auto* const kept = new KeptString(std::move(bytes));
    Slice slice(kept, kept->bytes_);
    kept->DropUse();
    return slice;
  }

 private:
  explicit KeptString(std::string bytes) : Block(nullptr, 0, &Release), bytes_(std::move(bytes)) {
    data_ = bytes_.data();
    size_ = bytes_.size();
  }
  static void Release(Block* block) { delete static_cast<KeptString*>(block); }
  std::string bytes_;
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
  Slice front(*this);
  front.bytes_ = bytes_.substr(0, count);
  bytes_.remove_prefix(count);
  return front;
}

BlockPool::~BlockPool() {
  if (reading_.block) reading_.block->DropUse();
  if (copying_.block) copying_.block->DropUse();
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

BlockPool::Room BlockPool::RoomOf(Filling& filling, size_t least) {
  if (filling.block && !filling.block->shared()) filling.used = 0;
  if (!filling.block || filling.block->size() - filling.used < least) {
    if (filling.block) filling.block->DropUse();
    filling = {.block = Take(), .used = 0};
  }
  return {filling.block, filling.block->data() + filling.used,
          filling.block->size() - filling.used};
}

}  // namespace torchfleet::net
