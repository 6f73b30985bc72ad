#pragma once
// The words of HTTP/1.1 (RFC 9110, section 5; RFC 9112). All pure.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace torchfleet::net {

// A token's byte in lower case, and 0 for what is none (RFC 9110, section 5.6.2).
inline constexpr auto kTokenBytes = [] {
  std::array<char, 256> bytes{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")) {
    bytes[static_cast<unsigned char>(c)] = c;
  }
  for (size_t c = 'A'; c <= 'Z'; ++c) bytes[c] = bytes[c + 'a' - 'A'];
  return bytes;
}();
inline char TokenByte(char c) { return kTokenBytes[static_cast<unsigned char>(c)]; }

inline constexpr auto IsTokenChar = [](char c) { return TokenByte(c) != 0; };
inline bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenChar);
}
// Whether `text` is a token, which `lower` then is in lower case.
inline bool ReadToken(std::string_view text, std::string& lower) {
  lower.assign(text);
  bool fine = !lower.empty();
  for (char& c : lower) {
    c = TokenByte(c);
    fine &= c != 0;
  }
  return fine;
}
// A byte of a field's value.
inline constexpr auto IsValueChar = [](char c) {
  return (static_cast<unsigned char>(c) >= 0x20 || c == '\t') && c != 0x7f;
};
inline bool IsFieldValue(std::string_view text) {
  constexpr uint64_t kEach = ~uint64_t{0} / 255;
  // Eight bytes at a time while none is below 0x20 or is 0x7f.
  for (; text.size() >= sizeof(uint64_t); text.remove_prefix(sizeof(uint64_t))) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, text.data(), sizeof(bytes));
    const uint64_t deletes = bytes ^ (kEach * 0x7f);
    const uint64_t found = ((bytes - kEach * 0x20) & ~bytes) | ((deletes - kEach) & ~deletes);
    if ((found & (kEach * 0x80)) != 0) break;
  }
  return std::all_of(text.begin(), text.end(), IsValueChar);
}
inline bool IsDigits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

inline char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c; }
inline bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

inline std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// What is said to this end alone and not to whoever answers.
inline bool IsOfConnection(std::string_view name) {
  switch (name.size()) {
    case 2:
      return name == "te";
    case 4:
      return name == "host";
    case 6:
      return name == "expect";
    case 7:
      return name == "upgrade";
    case 10:
      return name == "connection" || name == "keep-alive";
    case 14:
      return name == "http2-settings";
    case 16:
      return name == "proxy-connection";
    case 17:
      return name == "transfer-encoding";
    default:
      return false;
  }
}

// A line feed that no carriage return comes before.
inline bool HasBareLineFeed(std::string_view text) {
  for (size_t at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1)) {
    if (at == 0 || text[at - 1] != '\r') return true;
  }
  return false;
}

}  // namespace torchfleet::net
