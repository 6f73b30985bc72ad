#include "net/http1/http1_writer.h"

#include <array>
#include <charconv>
#include <utility>

namespace torchfleet::net {
namespace {

constexpr std::pair<int, std::string_view> kReasons[] = {
    {100, "Continue"},
    {200, "OK"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

// Empty for a code without a phrase.
std::string_view ReasonOf(int status) {
  for (const auto& [code, reason] : kReasons) {
    if (code == status) return reason;
  }
  return {};
}

bool IsOfConnection(std::string_view name) {
  return name == "connection" || name == "transfer-encoding" || name == "keep-alive" ||
         name == "upgrade" || name == "proxy-connection" || name == "te" || name == "host";
}

// RFC 9110, section 5.6.7: the date of a moment, written once for its second.
void AppendDate(absl::Time moment, std::string& bytes) {
  thread_local int64_t written = -1;
  thread_local std::string text;
  if (const int64_t second = absl::ToUnixSeconds(moment); second != written) {
    text = absl::FormatTime("date: %a, %d %b %E4Y %H:%M:%S GMT\r\n", moment, absl::UTCTimeZone());
    written = second;
  }
  bytes += text;
}

}  // namespace

void AppendFields(const Headers& headers, std::string& bytes) {
  for (const auto [name, value] : headers) {
    if (name.starts_with(':') || IsOfConnection(name)) continue;
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos) continue;
    bytes.append(name).append(": ").append(value).append("\r\n");
  }
}

void AppendAnswerHead(const Headers& headers, const AnswerHead& how, std::string& bytes) {
  const std::string_view status = headers.ValueOr(":status", "500");
  int code = 500;
  std::from_chars(status.data(), status.data() + status.size(), code);
  bytes.append("HTTP/1.1 ").append(status).append(" ").append(ReasonOf(code)).append("\r\n");
  AppendFields(headers, bytes);
  AppendDate(how.date, bytes);
  if (how.end == BodyEnd::kChunks) bytes += "transfer-encoding: chunked\r\n";
  if (how.end == BodyEnd::kNoBody && code != 204 && code / 100 != 1 && code != 304 &&
      !headers.Find("content-length")) {
    bytes += "content-length: 0\r\n";
  }
  if (!how.keep_alive) {
    bytes += "connection: close\r\n";
  } else if (how.old_peer) {
    bytes += "connection: keep-alive\r\n";
  }
  bytes += "\r\n";
}

void AppendRequestHead(const Headers& headers, bool chunked, std::string& bytes) {
  bytes.append(headers.ValueOr(":method", "GET")).append(" ");
  bytes.append(headers.ValueOr(":path", "/")).append(" HTTP/1.1\r\nhost: ");
  bytes.append(headers.ValueOr(":authority", "")).append("\r\n");
  AppendFields(headers, bytes);
  if (chunked) bytes += "transfer-encoding: chunked\r\n";
  bytes += "\r\n";
}

void AppendChunkHead(size_t size, std::string& bytes) {
  std::array<char, 16> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), size, 16);
  bytes.append(digits.data(), end).append("\r\n");
}

}  // namespace torchfleet::net
