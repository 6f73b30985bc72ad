#pragma once
// Messages put together from bytes that are messages already, so that nothing
// is parsed only to be written again. Pure.
//
// Each function appends one field to `out`. Zero and empty are left out, as
// proto3 leaves them out; AppendMessage writes an empty message too.

#include <cstdint>
#include <string>
#include <string_view>

namespace torchfleet::registry {

inline void AppendVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline void AppendNumber(std::string& out, uint32_t field, uint64_t value) {
  if (value == 0) return;
  AppendVarint(out, field << 3);
  AppendVarint(out, value);
}

inline void AppendMessage(std::string& out, uint32_t field, std::string_view bytes) {
  AppendVarint(out, field << 3 | 2);
  AppendVarint(out, bytes.size());
  out.append(bytes);
}

inline void AppendText(std::string& out, uint32_t field, std::string_view text) {
  if (!text.empty()) AppendMessage(out, field, text);
}

}  // namespace torchfleet::registry
