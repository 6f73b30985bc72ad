#include "gateway/protocol/web/base64_reader.h"

#include <cstdint>

namespace torchfleet::gateway {
namespace {

int Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

}  // namespace

bool Base64Reader::Take(std::string_view text, std::string& bytes) {
  for (const char c : text) {
    group_[count_++] = c;
    if (count_ < group_.size()) continue;
    count_ = 0;
    if (!TakeGroup(bytes)) return false;
  }
  return true;
}

bool Base64Reader::TakeGroup(std::string& bytes) {
  const size_t padding = group_[3] != '=' ? 0 : group_[2] != '=' ? 1 : 2;
  uint32_t bits = 0;
  for (size_t i = 0; i < group_.size() - padding; ++i) {
    const int digit = Digit(group_[i]);
    if (digit < 0) return false;
    bits |= static_cast<uint32_t>(digit) << (18 - 6 * i);
  }
  for (size_t i = 0; i < 3 - padding; ++i) {
    bytes.push_back(static_cast<char>(bits >> (16 - 8 * i) & 0xff));
  }
  return true;
}

}  // namespace torchfleet::gateway
