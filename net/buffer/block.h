#pragma once
// Bytes that are read once, and slices of them that travel without a copy.
//
// Not thread-safe: a block and its slices belong to one loop's thread.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace torchfleet::net {

class BlockPool;

// Memory with a count of those that use it; gone, or back in its pool, with the
// last of them.
class Block {
 public:
  char* data() { return data_; }
  size_t size() const { return size_; }
  bool shared() const { return uses_ > 1; }

  void AddUse() { ++uses_; }
  void DropUse() {
    if (--uses_ == 0) release_(this);
  }

 protected:
  Block(char* data, size_t size, void (*release)(Block*))
      : data_(data), size_(size), release_(release) {}
  ~Block() = default;

  char* data_;
  size_t size_;

 private:
  friend class BlockPool;
  void (*const release_)(Block*);
  uint32_t uses_ = 1;
};

// Some bytes of a block, which it keeps.
class Slice {
 public:
  Slice() = default;
  // Bytes inside `block`.
  Slice(Block* block, std::string_view bytes) : block_(block), bytes_(bytes) { block_->AddUse(); }
  Slice(Slice&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}
  Slice& operator=(Slice&& other) noexcept {
    std::swap(block_, other.block_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  Slice(const Slice& other) : block_(other.block_), bytes_(other.bytes_) {
    if (block_) block_->AddUse();
  }
  Slice& operator=(const Slice&) = delete;
  ~Slice() {
    if (block_) block_->DropUse();
  }

  // Keeps the string as it is, wherever its bytes lie.
  static Slice Keep(std::string bytes);
  // Keeps `owner` for as long as these bytes are used.
  static Slice Keep(std::shared_ptr<const void> owner, std::string_view bytes);

  std::string_view bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // The first `count` bytes leave this slice.
  Slice Cut(size_t count);
  void RemovePrefix(size_t count) { bytes_.remove_prefix(count); }
  Block* block() const { return block_; }
  // Takes the block's next bytes in, where `bytes` are those.
  bool Join(const Block* block, std::string_view bytes) {
    if (block != block_ || bytes_.data() + bytes_.size() != bytes.data()) return false;
    bytes_ = {bytes_.data(), bytes_.size() + bytes.size()};
    return true;
  }

 private:
  Block* block_ = nullptr;
  std::string_view bytes_;
};

// Blocks of one size for reading and writing. Keeps a few that are free.
// Lives longer than its blocks.
class BlockPool {
 public:
  static constexpr size_t kBlockSize = 256 << 10;

  BlockPool() = default;
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // With one use, the caller's.
  Block* Take();

  // Where the next bytes go. What is behind the bytes that Slices keep comes
  // again, so what is small shares a block.
  struct Room {
    Block* block;
    char* at;
    size_t size;
  };
  // For a read: at least kLeastRead bytes. Filled: so many of them are to stay.
  Room ReadRoom() { return RoomOf(reading_, kLeastRead); }
  void Filled(size_t count) { reading_.used += count; }
  // For copies of what is sent: at least a byte.
  Room CopyRoom() { return RoomOf(copying_, 1); }
  void Copied(size_t count) { copying_.used += count; }

 private:
  static constexpr size_t kLeastRead = 64 << 10;
  static constexpr size_t kMostFree = 32;

  class Pooled;
  static void Release(Block* block);

  // A block that is filled from its beginning.
  struct Filling {
    Block* block = nullptr;
    size_t used = 0;
  };
  Room RoomOf(Filling& filling, size_t least);

  std::vector<Pooled*> free_;
  Filling reading_;
  Filling copying_;
};

}  // namespace torchfleet::net
