#include "base/operator_page.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"

namespace torchfleet {
namespace {

// With %XX as the bytes that they stand for.
std::optional<std::string> Unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (i + 2 >= text.size() || !absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 1])) ||
        !absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2]))) {
      return std::nullopt;
    }
    plain += absl::HexStringToBytes(std::string(text.substr(i + 1, 2)));
    i += 2;
  }
  return plain;
}

std::vector<std::string> Split(std::string_view text, char at) {
  if (text.empty()) return {};
  return absl::StrSplit(absl::string_view(text.data(), text.size()), at);
}

}  // namespace

std::string_view ReasonPhrase(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "Error";
  }
}

std::optional<std::vector<std::string>> PathWords(std::string_view path) {
  std::vector<std::string> words;
  if (path.starts_with('/')) path.remove_prefix(1);
  for (const std::string& raw : Split(path, '/')) {
    auto word = Unescaped(raw);
    if (!word) return std::nullopt;
    words.push_back(*std::move(word));
  }
  return words;
}

std::optional<std::vector<std::pair<std::string, std::string>>> QueryParameters(
    std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  for (std::string raw : Split(query, '&')) {
    if (raw.empty()) continue;
    for (char& c : raw) {
      if (c == '+') c = ' ';
    }
    const size_t equals = raw.find('=');
    auto name = Unescaped(raw.substr(0, equals));
    auto value = Unescaped(equals == raw.npos ? "" : raw.substr(equals + 1));
    if (!name || !value) return std::nullopt;
    parameters.emplace_back(*std::move(name), *std::move(value));
  }
  return parameters;
}

}  // namespace torchfleet
