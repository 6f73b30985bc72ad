#pragma once
// Base64 that comes in pieces, cut anywhere, as gRPC-Web's text form has it:
// several encoded texts one behind the other, each padded by itself (RFC 4648,
// section 4).
//
// Pure. Not thread-safe.

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace torchfleet::gateway {

class Base64Reader {
 public:
  // Appends what `text` decodes to. False for what is no base64: nothing more
  // can be read then.
  bool Take(std::string_view text, std::string& bytes);
  // No group of four has begun.
  bool AtBoundary() const { return count_ == 0; }
  void Clear() { count_ = 0; }

 private:
  bool TakeGroup(std::string& bytes);

  std::array<char, 4> group_ = {};
  size_t count_ = 0;
};

}  // namespace torchfleet::gateway
