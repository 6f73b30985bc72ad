// wire/ against Protocol Buffers' own parser, on what is random and on what the
// fuzzer starts from.

#include <fmt/format.h>
#include <google/protobuf/stubs/common.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/utf8.h"
#include "inference/grpc_service.pb.h"
#include "tests/fuzz/wire_differential.h"
#include "tests/unit/wire/random_message.h"

namespace torchfleet::wire {
namespace {

constexpr int kMessages = 8000;

// Names the input, so that a failure can be tried alone.
void RequireEqual(const std::string& bytes) {
  const std::string difference = DifferenceFromProtobuf(bytes);
  if (difference.empty()) return;
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  FAIL(difference << "\n" << hex);
}

template <typename Message>
void TryRandomMessages(uint64_t seed) {
  Random random(seed);
  int valid = 0;
  for (int i = 0; i < kMessages; ++i) {
    const std::string bytes = RandomMessage(random, *Message::descriptor());
    if (Message().ParseFromString(bytes)) ++valid;
    RequireEqual(bytes);
    RequireEqual(bytes.substr(0, Below(random, bytes.size() + 1)));
    RequireEqual(FlipBits(random, bytes));
    RequireEqual(bytes + RandomMessage(random, *Message::descriptor()));
  }
  CHECK(valid == kMessages);
}

TEST_CASE("InferRequestView: reads random requests as Protobuf does", "[wire][views]") {
  TryRandomMessages<inference::ModelInferRequest>(1);
}

TEST_CASE("InferResponseView: reads random responses as Protobuf does", "[wire][views]") {
  TryRandomMessages<inference::ModelInferResponse>(2);
}

TEST_CASE("InferRequestView: reads every prefix of a request as Protobuf does", "[wire][views]") {
  Random random(3);
  for (int i = 0; i < 50; ++i) {
    const std::string bytes = RandomMessage(random, *inference::ModelInferRequest::descriptor());
    for (size_t size = 0; size < std::min<size_t>(bytes.size(), 400); ++size) {
      RequireEqual(bytes.substr(0, size));
    }
  }
}

TEST_CASE("InferRequestView: has Protobuf's verdict on random bytes", "[wire][views]") {
  Random random(4);
  for (int i = 0; i < 20000; ++i) {
    // Small values make tags and lengths that lead somewhere.
    std::string bytes = RandomBytes(random, Below(random, 40));
    for (char& byte : bytes) {
      if (Below(random, 3) > 0) byte = static_cast<char>(byte & 0x3F);
    }
    RequireEqual(bytes);
  }
}

TEST_CASE("InferRequestView: groups and messages nest as deep as Protobuf's", "[wire][views]") {
  const auto field = [](char tag, const std::string& bytes) {
    return std::string{tag, static_cast<char>(bytes.size() % 128 + 128),
                       static_cast<char>(bytes.size() / 128)} +
           bytes;
  };
  for (const size_t depth : {95, 96, 97, 98, 99, 100, 101, 200}) {
    const std::string groups = std::string(depth, '\x7B') + std::string(depth, '\x7C');
    RequireEqual(groups);                                               // in the message
    RequireEqual(field('\x2A', groups));                                // in a tensor
    RequireEqual(field('\x32', groups));                                // in an output
    RequireEqual(field('\x2A', field('\x2A', groups)));                 // in its contents
    RequireEqual(field('\x22', groups));                                // in an entry
    RequireEqual(field('\x22', field('\x12', groups)));                 // in a value
    RequireEqual(field('\x2A', field('\x22', groups)));                 // a tensor's entry
    RequireEqual(field('\x2A', field('\x22', field('\x12', groups))));  // and value
  }
}

TEST_CASE("Fuzz corpus: every file is read as Protobuf reads it", "[wire][views]") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TORCHFLEET_WIRE_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    CAPTURE(entry.path().filename());
    RequireEqual(std::string(std::istreambuf_iterator<char>(file), {}));
    ++files;
  }
  CHECK(files >= 19);
}

TEST_CASE("IsUtf8: has Protobuf's verdict", "[wire][utf8]") {
  const auto same = [](std::string_view text) {
    return IsUtf8(text) == google::protobuf::internal::IsStructurallyValidUTF8(
                               text.data(), static_cast<int>(text.size()));
  };
  int different = 0;
  // All of up to three bytes; of four those whose last are at an edge.
  for (int value = 0; value < 1 << 24; ++value) {
    const char bytes[] = {static_cast<char>(value >> 16), static_cast<char>(value >> 8),
                          static_cast<char>(value)};
    if (!same({bytes, 3})) ++different;
  }
  for (int value = 0; value < 1 << 16; ++value) {
    for (const char third : {'\x00', '\x7F', '\x80', '\xBF', '\xC0', '\xFF'}) {
      for (const char fourth : {'\x7F', '\x80', '\xBF', '\xC0'}) {
        const char bytes[] = {static_cast<char>(value >> 8), static_cast<char>(value), third,
                              fourth};
        if (!same({bytes, 4})) ++different;
      }
    }
  }
  Random random(5);
  for (int i = 0; i < 20000; ++i) {
    // Long enough for the parser's steps of eight bytes.
    std::string text =
        std::string(Below(random, 20), 'a') + "größe 日本 😀" + std::string(Below(random, 20), 'b');
    if (Below(random, 2) == 0) text[Below(random, text.size())] = static_cast<char>(random());
    if (!same(text)) ++different;
  }
  CHECK(different == 0);
}

}  // namespace
}  // namespace torchfleet::wire
