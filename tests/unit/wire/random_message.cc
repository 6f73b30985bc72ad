#include "tests/unit/wire/random_message.h"

#include <array>

#include "wire/wire_reader.h"

namespace torchfleet::wire {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

bool OneIn(Random& random, size_t n) { return Below(random, n) == 0; }

// Now and then with more bytes than it needs, up to `most`.
std::string Number(Random& random, uint64_t value, size_t most) {
  std::string bytes;
  do {
    bytes.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  } while (value > 0);
  if (OneIn(random, 20)) {
    while (bytes.size() < most && !OneIn(random, 3)) bytes.push_back('\x80');
  }
  bytes.back() = static_cast<char>(bytes.back() & 0x7F);
  return bytes;
}

std::string Tag(Random& random, uint32_t field, WireType type) {
  return Number(random, MakeTag(field, type), 5);
}

std::string Delimited(Random& random, const std::string& bytes) {
  return Number(random, bytes.size(), 5) + bytes;
}

std::string Text(Random& random) {
  static const std::array<std::string, 8> kTexts = {
      "", "a", "b", "größe", "日本", std::string("a\0b", 3), std::string(200, 'x'), "😀"};
  return kTexts[Below(random, kTexts.size())];
}

// Of any size, with the ends of each among them.
uint64_t Value(Random& random) {
  static const std::array<uint64_t, 8> kEnds = {
      0, 1, 127, 128, 0x7FFFFFFF, 0x80000000, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF};
  if (OneIn(random, 2)) return kEnds[Below(random, kEnds.size())];
  return random() >> Below(random, 64);
}

std::string UnknownValue(Random& random, uint32_t field, int depth) {
  switch (Below(random, depth > 0 ? 5 : 4)) {
    case 0:
      return Tag(random, field, WireType::kVarint) + Number(random, Value(random), 10);
    case 1:
      return Tag(random, field, WireType::kFixed32) + RandomBytes(random, 4);
    case 2:
      return Tag(random, field, WireType::kFixed64) + RandomBytes(random, 8);
    case 3:
      return Tag(random, field, WireType::kLengthDelimited) +
             Delimited(random, RandomBytes(random, Below(random, 12)));
    default: {
      std::string group = Tag(random, field, WireType::kStartGroup);
      while (!OneIn(random, 3)) {
        group += UnknownValue(random, 1 + static_cast<uint32_t>(Below(random, 20)), depth - 1);
      }
      return group + Tag(random, field, WireType::kEndGroup);
    }
  }
}

WireType SingleType(const FieldDescriptor& field) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_FLOAT:
      return WireType::kFixed32;
    case FieldDescriptor::TYPE_DOUBLE:
      return WireType::kFixed64;
    case FieldDescriptor::TYPE_STRING:
    case FieldDescriptor::TYPE_BYTES:
    case FieldDescriptor::TYPE_MESSAGE:
      return WireType::kLengthDelimited;
    default:
      return WireType::kVarint;
  }
}

std::string SingleValue(Random& random, const FieldDescriptor& field) {
  switch (field.type()) {
    case FieldDescriptor::TYPE_STRING:
      return Delimited(random, Text(random));
    case FieldDescriptor::TYPE_BYTES:
      return Delimited(random, RandomBytes(random, Below(random, 20)));
    case FieldDescriptor::TYPE_MESSAGE:
      return Delimited(random, RandomMessage(random, *field.message_type()));
    case FieldDescriptor::TYPE_FLOAT:
      return RandomBytes(random, 4);
    case FieldDescriptor::TYPE_DOUBLE:
      return RandomBytes(random, 8);
    default:
      return Number(random, Value(random), 10);
  }
}

std::string Field(Random& random, const FieldDescriptor& field) {
  const auto number = static_cast<uint32_t>(field.number());
  if (!field.is_packable() || OneIn(random, 2)) {
    return Tag(random, number, SingleType(field)) + SingleValue(random, field);
  }
  std::string packed;
  for (size_t left = Below(random, 6); left > 0; --left) packed += SingleValue(random, field);
  return Tag(random, number, WireType::kLengthDelimited) + Delimited(random, packed);
}

}  // namespace

size_t Below(Random& random, size_t limit) {
  return std::uniform_int_distribution<size_t>(0, limit - 1)(random);
}

std::string RandomBytes(Random& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::string FlipBits(Random& random, std::string bytes) {
  if (bytes.empty()) return bytes;
  for (size_t left = 1 + Below(random, 4); left > 0; --left) {
    bytes[Below(random, bytes.size())] ^= static_cast<char>(1 << Below(random, 8));
  }
  return bytes;
}

std::string RandomMessage(Random& random, const Descriptor& type) {
  std::string bytes;
  for (size_t left = Below(random, 8); left > 0; --left) {
    if (OneIn(random, 8)) {
      // Over the known numbers, so never a known field of another wire type.
      bytes += UnknownValue(random, 16 + static_cast<uint32_t>(Below(random, 1000)), 4);
    } else {
      const auto index = static_cast<int>(Below(random, static_cast<size_t>(type.field_count())));
      bytes += Field(random, *type.field(index));
    }
  }
  return bytes;
}

}  // namespace torchfleet::wire
