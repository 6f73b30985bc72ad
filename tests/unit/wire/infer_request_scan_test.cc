#include "wire/infer_request_scan.h"

#include <fmt/format.h>

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/status.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::wire {
namespace {

using Random = std::mt19937_64;

// [0, limit)
size_t Below(Random& random, size_t limit) {
  return std::uniform_int_distribution<size_t>(0, limit - 1)(random);
}

// Cut anywhere, empty pieces included.
std::vector<std::string_view> Cut(Random& random, std::string_view bytes) {
  std::vector<std::string_view> pieces;
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), Below(random, Below(random, 4) == 0 ? 64 : 4));
    pieces.push_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return pieces;
}

std::string Text(Random& random) {
  static const std::vector<std::string> kTexts = {
      "", "mnist", "3", "größe", "日本", std::string("a\0b", 3), std::string(300, 'x'), "😀"};
  return kTexts[Below(random, kTexts.size())];
}

// Wrong now and then.
std::string Bytes(Random& random) {
  static const std::vector<std::string> kBytes = {
      "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xFF", "\xF8\x88\x80\x80\x80"};
  return Below(random, 8) == 0 ? kBytes[Below(random, kBytes.size())] : Text(random);
}

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

std::string Delimited(uint32_t field, const std::string& content) {
  return Varint(field << 3 | 2) + Varint(content.size()) + content;
}

// A field that a request has, or one it does not, in any wire type.
std::string Field(Random& random, int depth = 0) {
  const uint32_t field = static_cast<uint32_t>(Below(random, Below(random, 5) == 0 ? 3000 : 9));
  switch (Below(random, depth < 3 ? 9 : 8)) {
    case 0:
      return Varint(field << 3) + Varint(random());
    case 1:
      return Varint(field << 3 | 1) + std::string(8, 'f');
    case 2:
      return Varint(field << 3 | 5) + std::string(4, 'f');
    case 3:
      return Delimited(field, Bytes(random));
    case 8: {
      std::string group = Varint(field << 3 | 3);
      for (size_t i = Below(random, 4); i > 0; --i) group += Field(random, depth + 1);
      const uint32_t end = Below(random, 10) == 0 ? field + 1 : field;
      return group + Varint(end << 3 | 4);
    }
    default:
      return Delimited(static_cast<uint32_t>(1 + Below(random, 3)), Bytes(random));
  }
}

std::string Fields(Random& random) {
  std::string bytes;
  for (size_t i = Below(random, 7); i > 0; --i) bytes += Field(random);
  return bytes;
}

std::string Request(Random& random) {
  inference::ModelInferRequest request;
  request.set_model_name(Text(random));
  request.set_model_version(Text(random));
  request.set_id(Text(random));
  (*request.mutable_parameters())["priority"].set_int64_param(3);
  for (size_t i = Below(random, 3); i > 0; --i) {
    auto* input = request.add_inputs();
    input->set_name(Text(random));
    input->set_datatype("FP32");
    input->add_shape(-1);
    input->mutable_contents()->add_fp32_contents(1.5F);
    request.add_raw_input_contents(std::string(Below(random, 5000), '\xFF'));
  }
  return request.SerializeAsString();
}

// ServerMetadataResponse has three texts under the same numbers and nothing
// else, so Protocol Buffers reads of it just what the scan reads of a request.
void CheckSameAsProtobuf(Random& random, const std::string& bytes) {
  // It logs every text that is not UTF-8.
  const google::protobuf::LogSilencer silence;
  inference::ServerMetadataResponse expected;
  const bool well_formed = expected.ParseFromString(bytes);
  const auto head = ScanInferRequest(Cut(random, bytes));
  if (head.ok() != well_formed) {
    std::string hex;
    for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
    FAIL("protobuf says " << well_formed << ", the scan " << head.status().ToString() << " of "
                          << hex);
  }
  if (!well_formed) {
    REQUIRE(absl::IsInvalidArgument(head.status()));
    REQUIRE(head.status().message().size() <= kMaxErrorText);
    return;
  }
  REQUIRE(head->model_name == expected.name());
  REQUIRE(head->model_version == expected.version());
  const int ids = expected.extensions_size();
  REQUIRE(head->id == (ids == 0 ? "" : expected.extensions(ids - 1)));
}

TEST_CASE("InferRequestScan: reads what protobuf reads, in any order and from any pieces",
          "[wire][scan]") {
  Random random(1);
  for (int i = 0; i < 20000; ++i) CheckSameAsProtobuf(random, Fields(random));
}

TEST_CASE("InferRequestScan: has protobuf's verdict on truncated and on random bytes",
          "[wire][scan]") {
  Random random(2);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = Below(random, 2) == 0 ? Fields(random) : Request(random);
    bytes.resize(Below(random, bytes.size() + 1));
    for (size_t n = Below(random, 4); n > 0 && !bytes.empty(); --n) {
      bytes[Below(random, bytes.size())] = static_cast<char>(random());
    }
    CheckSameAsProtobuf(random, bytes);
  }
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(Below(random, 24), '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    CheckSameAsProtobuf(random, bytes);
  }
}

TEST_CASE("InferRequestScan: reads whole requests as protobuf does", "[wire][scan]") {
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    const std::string bytes = Request(random) + (Below(random, 2) == 0 ? Request(random) : "");
    inference::ModelInferRequest expected;
    REQUIRE(expected.ParseFromString(bytes));
    const auto head = ScanInferRequest(Cut(random, bytes));
    REQUIRE(head.ok());
    REQUIRE(head->model_name == expected.model_name());
    REQUIRE(head->model_version == expected.model_version());
    REQUIRE(head->id == expected.id());
  }
}

TEST_CASE("InferRequestScan: groups nest a hundred deep and no deeper", "[wire][scan]") {
  Random random(4);
  for (const size_t depth : {99, 100, 101, 100000}) {
    CAPTURE(depth);
    CheckSameAsProtobuf(random, std::string(depth, '\x4B') + std::string(depth, '\x4C'));
  }
}

TEST_CASE("InferRequestScan: believes no length", "[wire][scan]") {
  Random random(5);
  const std::vector<std::string> lengths = {std::string("\xFF\xFF\xFF\xFF\x07"),
                                            std::string("\xFF\xFF\xFF\xFF\x0F"),
                                            std::string("\xFF\xFF\xFF\xFF\xFF\x01"),
                                            std::string("\x80\x80\x80\x80\x10"),
                                            std::string("\x81\x80\x80\x80\x00", 5),
                                            std::string("\x81\x80\x80\x80\x80\x00", 6),
                                            std::string("\x02"),
                                            std::string("\x80")};
  for (const std::string& length : lengths) {
    for (const std::string tag : {"\x0A", "\x3A", "\x7A"}) {
      CheckSameAsProtobuf(random, tag + length + "x");
    }
  }
}

TEST_CASE("InferRequestScan: names the field that is not UTF-8, cut short", "[wire][scan]") {
  const std::string bytes = Delimited(1, std::string(5000, 'm') + "\xFF");
  const std::string_view piece = bytes;
  const auto head = ScanInferRequest({&piece, 1});
  REQUIRE(absl::IsInvalidArgument(head.status()));
  CHECK(BadField(head.status()) == "model_name");
  CHECK(head.status().message().size() <= kMaxErrorText);
}

TEST_CASE("InferRequestScan: an empty request names no model", "[wire][scan]") {
  const auto head = ScanInferRequest({});
  REQUIRE(head.ok());
  CHECK(head->model_name.empty());
}

}  // namespace
}  // namespace torchfleet::wire
