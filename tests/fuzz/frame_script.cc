#include "tests/fuzz/frame_script.h"

#include <array>
#include <cstdint>
#include <iterator>

#include "tests/unit/net/frames.h"

namespace torchfleet::net {
namespace {

constexpr uint8_t kPadded = 8, kPriority = 0x20;

// Numbers at the edges of what a frame may say.
constexpr std::array<uint32_t, 12> kNumbers = {
    0, 1, 10, 16383, 16384, 65535, 65536, 1 << 24, 0x7fffffff, 0x80000000, 0xffffffff, 100};

// Fields, and what HPACK has beside them, right and wrong.
const std::string& FieldOf(uint8_t choice) {
  static const std::string fields[] = {
      "\x82",  // :method GET, and others of the static table
      "\x84",
      "\x86",
      "\x88",
      "\x8d",
      std::string("\x40\x01x\x01y", 5),  // into the dynamic table
      std::string("\x40\x0a"
                  "custom-key\x0d"
                  "custom-header",
                  26),
      "\xbe",  // and out of it
      "\xbf",
      "\xc0",
      "\x20",                                                                       // a table of 0
      "\x3f\xe1\x1f",                                                               // of 4096
      "\x3f\xe2\x1f",                                                               // over it
      std::string("\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", 14),  // Huffman
      std::string("\x40\x81\xff\x81\xff", 5),  // padding for a text
      std::string("\x00\x01", 2),              // cut
      "\x80",                                  // index 0
      "\xff\xff\xff\xff\xff\xff\x0f",          // an index over all
      Field("X-Upper", "1"),
      Field("connection", "close"),
      Field("te", "gzip"),
      Field("te", "trailers"),
      Field("content-length", "5"),
      Field("content-length", "6"),
      Field(":path", "/"),
      Field(":status", "100"),
      Field(":status", "101"),
      Field(":protocol", "websocket"),
      Field("grpc-timeout", "1S"),
      Field("grpc-status", "0"),
      Field("grpc-message", "%zz"),
      Field("x", std::string(3000, 'x')),
      Field("", ""),
      Field("a b", "c"),
      Field("v", "a\nb"),
  };
  return fields[choice % std::size(fields)];
}

class Script {
 public:
  Script(std::string_view bytes, bool client) : left_(bytes), client_(client) {}

  std::string Frames() {
    std::string frames;
    while (!left_.empty() && frames.size() < (48 << 10)) frames += Frame();
    return frames;
  }

 private:
  uint8_t Byte() {
    if (left_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(left_.front());
    left_.remove_prefix(1);
    return byte;
  }
  std::string Bytes(size_t count) {
    const std::string bytes(left_.substr(0, count));
    left_.remove_prefix(bytes.size());
    return bytes;
  }
  uint32_t Number() {
    const uint8_t choice = Byte();
    return choice < kNumbers.size() ? kNumbers[choice] : choice;
  }
  // One of the first, the next one, or one that cannot be.
  uint32_t Stream() {
    const uint8_t choice = Byte() % 16;
    if (choice < 6) return 2u * choice + 1;
    if (choice < 12) return last_;
    if (choice == 12) return 0;
    if (choice == 13) return 2;
    return choice == 14 ? last_ + 2 : 0x7fffffff;
  }

  std::string Block(bool head) {
    std::string block;
    const uint8_t choice = Byte();
    if (head && choice < 224) {
      block = client_ ? Field(":status", "200") + Field("content-type", "application/grpc")
                      : EchoHeaders();
    }
    for (int left = choice % 8; left > 0; --left) block += FieldOf(Byte());
    return block;
  }
  // As the flags have it, or nearly.
  std::string Dressed(uint8_t flags, const std::string& payload) {
    std::string bytes;
    uint8_t padding = 0, claimed = 0;
    if ((flags & kPadded) != 0) {
      padding = Byte() % 16;
      claimed = static_cast<uint8_t>(padding + (Byte() == 255 ? 200 : 0));
      bytes += static_cast<char>(claimed);
    }
    if ((flags & kPriority) != 0) bytes += BigEndian32(Stream()) + static_cast<char>(Byte());
    return bytes + payload + std::string(padding, '\0');
  }

  std::string HeadersFrame() {
    const uint8_t kind = Byte();
    const bool head = kind % 4 != 3;
    if (!client_ && head && kind < 192) last_ += 2;
    const uint32_t stream = kind < 192 ? last_ : Stream();
    uint8_t flags = Byte() & (kEndStream | kPadded | kPriority);
    const std::string payload = Dressed(flags, Block(head));
    if (kind % 8 < 6) flags |= kEndHeaders;
    return FrameBytes(kHeadersFrame, flags, client_ && kind >= 64 ? Stream() : stream, payload);
  }
  std::string DataFrame() {
    const uint32_t stream = Stream();
    const uint8_t flags = Byte() & (kEndStream | kPadded);
    const uint8_t size = Byte();
    const std::string body = size < 128 ? EchoBody(Bytes(size % 16)) : Bytes(size - 128u);
    return FrameBytes(kDataFrame, flags, stream, Dressed(flags, body));
  }
  std::string SettingsFrame() {
    const uint8_t count = Byte();
    if (count >= 224) return FrameBytes(kSettingsFrame, kAck, 0, "");
    std::string payload;
    for (int left = count % 4; left > 0; --left) {
      payload += '\0';
      payload += static_cast<char>(Byte() % 10);
      payload += BigEndian32(Number());
    }
    return FrameBytes(kSettingsFrame, 0, 0, payload);
  }
  std::string ContinuationFrame() {
    const uint8_t kind = Byte();
    const uint32_t stream = kind < 224 ? last_ : Stream();
    return FrameBytes(kContinuationFrame, kind % 4 != 0 ? kEndHeaders : 0, stream, Block(false));
  }
  std::string RawFrame() {
    const uint8_t type = Byte(), flags = Byte();
    const uint32_t stream = Stream();
    return FrameBytes(type, flags, stream, Bytes(Byte()));
  }

  std::string Frame() {
    switch (Byte() % 16) {
      case 0:
      case 1:
      case 2:
        return HeadersFrame();
      case 3:
      case 4:
      case 5:
        return DataFrame();
      case 6:
        return FrameBytes(kWindowFrame, 0, Stream(), BigEndian32(Number()));
      case 7:
        return SettingsFrame();
      case 8:
        return FrameBytes(kResetFrame, 0, Stream(), BigEndian32(Byte() % 16));
      case 9:
        return FrameBytes(kPriorityFrame, 0, Stream(), BigEndian32(Stream()) + Bytes(1));
      case 10:
        return FrameBytes(kPingFrame, Byte() % 2, 0, "12345678");
      case 11:
        return FrameBytes(kGoawayFrame, 0, 0, BigEndian32(Number()) + BigEndian32(Byte() % 16));
      case 12:
        return ContinuationFrame();
      case 13:
        return FrameBytes(kPushFrame, kEndHeaders, Stream(), BigEndian32(Stream()) + Block(true));
      case 14:
        return RawFrame();
      default:
        return Bytes(Byte());
    }
  }

  std::string_view left_;
  const bool client_;
  uint32_t last_ = client_ ? 1 : 0xffffffff;  // the next stream is 1
};

}  // namespace

std::string FramesOf(std::string_view script, bool client) {
  return Script(script, client).Frames();
}

}  // namespace torchfleet::net
