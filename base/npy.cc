#include "base/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace torchfleet {
namespace {

absl::Status Wrong(const std::string& message) { return absl::InvalidArgumentError(message); }

// The header is a Python dictionary as repr() writes it; the text after a key.
absl::StatusOr<std::string_view> After(std::string_view header, std::string_view key) {
  const std::string quoted = fmt::format("'{}':", key);
  const size_t at = header.find(quoted);
  if (at == std::string_view::npos) {
    return Wrong(fmt::format("the .npy header has no {}", key));
  }
  std::string_view rest = header.substr(at + quoted.size());
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  return rest;
}

absl::StatusOr<std::string> Quoted(std::string_view text) {
  const size_t end = text.empty() ? std::string_view::npos : text.find('\'', 1);
  if (text.empty() || text.front() != '\'' || end == std::string_view::npos) {
    return Wrong("the .npy header's descr is no plain type; arrays of records are not read");
  }
  return std::string(text.substr(1, end - 1));
}

absl::StatusOr<std::vector<int64_t>> Shape(std::string_view text) {
  const size_t end = text.find(')');
  if (text.empty() || text.front() != '(' || end == std::string_view::npos) {
    return Wrong("the .npy header's shape is no tuple");
  }
  std::vector<int64_t> shape;
  const std::string inside(text.substr(1, end - 1));
  const std::vector<std::string> parts = absl::StrSplit(inside, ',', absl::SkipWhitespace());
  for (std::string part : parts) {
    absl::StripAsciiWhitespace(&part);
    if (part.find_first_not_of("0123456789") != std::string::npos) {
      return Wrong("the .npy header's shape is no tuple of numbers");
    }
    int64_t size = 0;
    if (!absl::SimpleAtoi(part, &size)) return Wrong("the .npy header's shape is too large");
    shape.push_back(size);
  }
  return shape;
}

// Bytes of an element; 0 for what is not read.
int64_t ElementSize(std::string_view descr) {
  constexpr std::string_view kTypes[] = {"b1", "u1", "i1", "u2", "i2", "u4",
                                         "i4", "u8", "i8", "f2", "f4", "f8"};
  if (descr.empty() || std::string_view("<|=").find(descr[0]) == std::string_view::npos) return 0;
  const std::string_view type = descr.substr(1);
  return std::find(std::begin(kTypes), std::end(kTypes), type) == std::end(kTypes) ? 0
                                                                                   : type[1] - '0';
}

}  // namespace

absl::StatusOr<NpyArray> ParseNpy(std::string_view bytes) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  if (bytes.size() < 10 || bytes.substr(0, kMagic.size()) != kMagic) {
    return Wrong("this is no .npy file");
  }
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(bytes[i]));
  };
  const size_t version = byte(6);
  if (version < 1 || version > 3)
    return Wrong(fmt::format("its .npy version is {}; expected 1 to 3", version));
  const size_t begin = version == 1 ? 10 : 12;
  if (bytes.size() < begin) return Wrong("the .npy header is cut short");
  size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (bytes.size() - begin < length) return Wrong("the .npy header is cut short");
  const std::string_view header = bytes.substr(begin, length);

  NpyArray array;
  ASSIGN_OR_RETURN(const std::string_view descr, After(header, "descr"));
  ASSIGN_OR_RETURN(array.descr, Quoted(descr));
  ASSIGN_OR_RETURN(const std::string_view order, After(header, "fortran_order"));
  if (order.substr(0, 5) != "False") {
    return Wrong("the array is in Fortran order; save numpy.ascontiguousarray(array)");
  }
  ASSIGN_OR_RETURN(const std::string_view shape, After(header, "shape"));
  ASSIGN_OR_RETURN(array.shape, Shape(shape));
  array.data = bytes.substr(begin + length);

  int64_t expected = ElementSize(array.descr);
  if (expected == 0) {
    return Wrong(fmt::format(
        "its elements are '{}'; expected little-endian numbers of 1 to 8 bytes, or bools",
        Clip(array.descr)));
  }
  for (const int64_t size : array.shape) {
    if (__builtin_mul_overflow(expected, size, &expected)) return Wrong("its shape is too large");
  }
  if (static_cast<uint64_t>(expected) != array.data.size()) {
    return Wrong(fmt::format("its header says {} bytes of elements, {} are there", expected,
                             array.data.size()));
  }
  return array;
}

}  // namespace torchfleet
