#include "base/utf8.h"

#include <cstdint>
#include <cstring>

namespace torchfleet {
namespace {

template <typename Word>
Word Load(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

// In whole words; the last overlaps what came before it.
template <typename Word>
bool IsAsciiIn(std::string_view text) {
  constexpr auto kHighBits = static_cast<Word>(0x8080808080808080);
  const char* const last = text.data() + text.size() - sizeof(Word);
  Word seen = Load<Word>(last);
  for (const char* at = text.data(); at < last; at += sizeof(Word)) seen |= Load<Word>(at);
  return (seen & kHighBits) == 0;
}

bool IsAscii(std::string_view text) {
  if (text.size() >= sizeof(uint64_t)) return IsAsciiIn<uint64_t>(text);
  if (text.size() >= sizeof(uint32_t)) return IsAsciiIn<uint32_t>(text);
  char seen = 0;
  for (const char byte : text) seen = static_cast<char>(seen | byte);
  return (seen & 0x80) == 0;
}

}  // namespace

size_t Utf8Length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  size_t length = 0;
  unsigned char low = 0x80, high = 0xBF;  // bounds of the second byte
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF)
    length = 2;
  else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  if (length == 0 || text.size() < length) return 0;
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  return length;
}

bool IsUtf8(std::string_view text) {
  // Names are short and plain ASCII.
  if (IsAscii(text)) return true;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace torchfleet
