#pragma once
// HTTP/2's frames and fields as bytes (RFC 9113, section 4; RFC 7541), also such
// as no library writes. Pure.

#include <cstdint>
#include <string>
#include <string_view>

namespace torchfleet::net {

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum FrameType : uint8_t {
  kDataFrame,
  kHeadersFrame,
  kPriorityFrame,
  kResetFrame,
  kSettingsFrame,
  kPushFrame,
  kPingFrame,
  kGoawayFrame,
  kWindowFrame,
  kContinuationFrame
};
inline constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;

std::string FrameBytes(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
std::string BigEndian32(uint32_t value);
// A field never indexed, both parts literal without Huffman (RFC 7541, 6.2.2).
std::string Field(std::string_view name, std::string_view value);
// The headers of a gRPC call of the echo method.
std::string EchoHeaders();
// The body of a gRPC call with this message.
std::string EchoBody(std::string_view message);

}  // namespace torchfleet::net
