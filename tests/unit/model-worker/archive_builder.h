#pragma once
// ZIP archives put together by hand, right ones and wrong ones.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "model-worker/load/byte_source.h"

namespace torchfleet::worker {

struct PlannedEntry {
  std::string name;
  std::string content;
  bool deflated = false;
  // Sizes behind the entry and zeros before it, as torch writes.
  bool sizes_follow = false;
  // Sizes and place in ZIP64's fields.
  bool large = false;
  // Appended to the fields that both headers have.
  std::string extra = {};
};

struct ArchivePlan {
  std::vector<PlannedEntry> entries;
  // Ends with ZIP64's records too.
  bool large = false;
  std::string comment = {};
};

std::string BuildArchive(const ArchivePlan& plan);

// Writes over `bytes` at `offset`, as little-endian.
template <typename Number>
void Put(std::string& bytes, size_t offset, Number number) {
  std::memcpy(bytes.data() + offset, &number, sizeof number);
}

// Memory as a file. Borrows the bytes.
class MemoryBytes : public ByteSource {
 public:
  explicit MemoryBytes(std::string_view bytes) : bytes_(bytes) {}

  uint64_t size() const override { return bytes_.size(); }
  absl::Status Read(uint64_t offset, size_t count, char* to) const override {
    if (offset > bytes_.size() || count > bytes_.size() - offset) {
      return absl::InternalError("read outside of the bytes");
    }
    bytes_.copy(to, count, offset);
    return absl::OkStatus();
  }

 private:
  const std::string_view bytes_;
};

}  // namespace torchfleet::worker
