#include "tests/unit/net/frames.h"

namespace torchfleet::net {

std::string BigEndian32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string FrameBytes(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string bytes = BigEndian32(static_cast<uint32_t>(payload.size())).substr(1);
  bytes += static_cast<char>(type);
  bytes += static_cast<char>(flags);
  return bytes + BigEndian32(stream) + std::string(payload);
}

std::string Field(std::string_view name, std::string_view value) {
  const auto text = [](std::string_view part) {
    std::string bytes;
    if (part.size() < 127) {
      bytes += static_cast<char>(part.size());
    } else {
      bytes += '\x7f';
      size_t rest = part.size() - 127;
      for (; rest >= 128; rest >>= 7) bytes += static_cast<char>(0x80 | (rest & 0x7f));
      bytes += static_cast<char>(rest);
    }
    return bytes + std::string(part);
  };
  return '\x10' + text(name) + text(value);
}

std::string EchoHeaders() {
  return Field(":method", "POST") + Field(":scheme", "http") + Field(":path", "/echo.Echo/Say") +
         Field(":authority", "test") + Field("te", "trailers") +
         Field("content-type", "application/grpc");
}

std::string EchoBody(std::string_view message) {
  return '\0' + BigEndian32(static_cast<uint32_t>(message.size())) + std::string(message);
}

}  // namespace torchfleet::net
