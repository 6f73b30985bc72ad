#include "gateway/protocol/stream/stream_answer.h"

#include <cstdint>

#include "net/grpc/message_reader.h"

namespace torchfleet::gateway {
namespace {

// Field heads: of texts and messages, by number.
constexpr char kErrorMessage = 1 << 3 | 2, kInferResponse = 2 << 3 | 2, kId = 3 << 3 | 2;

void AppendLength(size_t length, std::string& bytes) {
  for (uint64_t left = length;; left >>= 7) {
    const auto low = static_cast<char>(left & 0x7f);
    if (left < 0x80) return bytes.push_back(low);
    bytes.push_back(static_cast<char>(low | 0x80));
  }
}

void AppendField(char head, std::string_view value, std::string& bytes) {
  bytes.push_back(head);
  AppendLength(value.size(), bytes);
  bytes.append(value);
}

}  // namespace

std::string StreamAnswerHead(size_t size) {
  std::string head(net::kGrpcPrefixSize, '\0');
  head.push_back(kInferResponse);
  AppendLength(size, head);
  net::WriteGrpcPrefix(head.size() - net::kGrpcPrefixSize + size, head.data());
  return head;
}

std::string StreamErrorMessage(std::string_view text, std::string_view id) {
  std::string message(net::kGrpcPrefixSize, '\0');
  AppendField(kErrorMessage, text, message);
  std::string response;
  if (!id.empty()) AppendField(kId, id, response);
  AppendField(kInferResponse, response, message);
  net::WriteGrpcPrefix(message.size() - net::kGrpcPrefixSize, message.data());
  return message;
}

}  // namespace torchfleet::gateway
