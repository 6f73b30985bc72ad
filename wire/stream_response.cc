#include "wire/stream_response.h"

#include <fmt/format.h>

#include <cstdint>

#include "wire/wire_reader.h"

namespace torchfleet::wire {
namespace {

constexpr char kErrorMessage = LengthTag(1), kInferResponse = LengthTag(2), kId = LengthTag(3);

void AppendLength(size_t length, std::string& bytes) {
  for (uint64_t left = length;; left >>= 7) {
    const auto low = static_cast<char>(left & 0x7f);
    if (left < 0x80) return bytes.push_back(low);
    bytes.push_back(static_cast<char>(low | 0x80));
  }
}

void AppendField(char tag, std::string_view value, std::string& bytes) {
  bytes.push_back(tag);
  AppendLength(value.size(), bytes);
  bytes.append(value);
}

}  // namespace

std::string StreamResponseHead(size_t size) {
  std::string head(1, kInferResponse);
  AppendLength(size, head);
  return head;
}

std::string StreamError(std::string_view text, std::string_view id) {
  std::string message, response;
  AppendField(kErrorMessage, text, message);
  if (!id.empty()) AppendField(kId, id, response);
  AppendField(kInferResponse, response, message);
  return message;
}

absl::StatusOr<StreamResponse> ParseStreamResponse(std::string_view message) {
  StreamResponse response;
  WireReader reader{ContiguousBytes(message)};
  while (!reader.AtEnd()) {
    uint32_t tag = 0;
    bool read = reader.ReadTag(tag);
    if (read && tag == LengthTag(1)) {
      read = reader.ReadBytes(response.error_message);
    } else if (read && tag == LengthTag(2)) {
      read = reader.ReadBytes(response.infer_response);
    } else if (read) {
      read = reader.SkipField(tag, kMaxNesting);
    }
    if (!read) {
      return absl::InvalidArgumentError(fmt::format(
          "the message is no ModelStreamInferResponse; expected {}", reader.expected()));
    }
  }
  return response;
}

}  // namespace torchfleet::wire
