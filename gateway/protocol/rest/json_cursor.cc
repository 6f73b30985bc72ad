#include "gateway/protocol/rest/json_cursor.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <bitset>

#include "absl/strings/ascii.h"
#include "base/utf8.h"
#include "gateway/protocol/rest/json_number.h"

namespace torchfleet::gateway::rest {
namespace {

// The four hexadecimal digits of \uXXXX at the start of `text`.
std::optional<uint32_t> CodeUnit(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  uint32_t unit = 0;
  for (const char c : text.substr(0, 4)) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return std::nullopt;
    const uint32_t digit =
        c <= '9' ? static_cast<uint32_t>(c - '0') : static_cast<uint32_t>((c | 0x20) - 'a' + 10);
    unit = unit * 16 + digit;
  }
  return unit;
}

// The code point of the escape at the start of `text`, behind "\u", which is
// then removed: a surrogate pair is two of them.
std::optional<uint32_t> TakeCodePoint(std::string_view& text) {
  const auto unit = CodeUnit(text);
  if (!unit) return std::nullopt;
  text.remove_prefix(4);
  if (*unit < 0xD800 || *unit > 0xDFFF) return unit;
  if (*unit > 0xDBFF || !text.starts_with("\\u")) return std::nullopt;
  const auto low = CodeUnit(text.substr(2));
  if (!low || *low < 0xDC00 || *low > 0xDFFF) return std::nullopt;
  text.remove_prefix(6);
  return 0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00);
}

char* AppendUtf8(uint32_t code, char* out) {
  const auto put = [&](uint32_t byte) { *out++ = static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
  return out;
}

}  // namespace

absl::Status CheckUtf8(std::string_view text) {
  if (simdjson::validate_utf8(text.data(), text.size())) return absl::OkStatus();
  size_t at = 0;
  while (const size_t length = Utf8Length(text.substr(at))) at += length;
  return absl::InvalidArgumentError(
      fmt::format("the JSON is not UTF-8: at byte {} came {:#04x}", at,
                  static_cast<unsigned char>(text[std::min(at, text.size() - 1)])));
}

std::optional<size_t> Unescape(std::string_view raw, char* out) {
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
  const char* const begin = out;
  while (!raw.empty()) {
    const size_t plain = std::min(raw.find('\\'), raw.size());
    out = std::copy_n(raw.data(), plain, out);
    raw.remove_prefix(plain);
    if (raw.empty()) break;
    if (raw.size() < 2) return std::nullopt;
    const char letter = raw[1];
    raw.remove_prefix(2);
    if (letter == 'u') {
      const auto code = TakeCodePoint(raw);
      if (!code) return std::nullopt;
      out = AppendUtf8(*code, out);
      continue;
    }
    const size_t which = kLetters.find(letter);
    if (which == kLetters.npos) return std::nullopt;
    *out++ = kMeant[which];
  }
  return static_cast<size_t>(out - begin);
}

std::optional<std::string_view> TextArena::Unescaped(std::string_view raw) {
  std::string& text = texts_.emplace_back(raw.size(), '\0');
  const auto size = Unescape(raw, text.data());
  if (!size) return std::nullopt;
  return std::string_view(text).substr(0, *size);
}

bool JsonCursor::ConsumeWord(std::string_view word) {
  Peek();
  if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(word)) return false;
  at_ += word.size();
  return true;
}

absl::StatusOr<std::string_view> JsonCursor::RawString() {
  if (!Consume('"')) return Unexpected("a string");
  const char* const begin = at_;
  for (; at_ != end_; ++at_) {
    if (*at_ == '"') return std::string_view(begin, static_cast<size_t>(at_++ - begin));
    if (static_cast<unsigned char>(*at_) < 0x20)
      return Unexpected("no control character in a text");
    if (*at_ == '\\' && end_ - at_ > 1) ++at_;
  }
  return Unexpected("a quote at the end of the text");
}

absl::StatusOr<std::string_view> JsonCursor::String(TextArena& texts) {
  const char* const begin = at_;
  ASSIGN_OR_RETURN(const std::string_view raw, RawString());
  if (raw.find('\\') == raw.npos) return raw;
  const auto text = texts.Unescaped(raw);
  if (text) return *text;
  at_ = begin;
  return Unexpected("escapes that JSON knows");
}

absl::Status JsonCursor::SkipScalar() {
  const char next = Peek();
  if (next == '"') {
    const char* const begin = at_;
    ASSIGN_OR_RETURN(const std::string_view raw, RawString());
    if (raw.find('\\') == raw.npos) return absl::OkStatus();
    std::string text(raw.size(), '\0');
    if (Unescape(raw, text.data())) return absl::OkStatus();
    at_ = begin;
    return Unexpected("escapes that JSON knows");
  }
  if (next == '-' || (next >= '0' && next <= '9')) {
    Decimal number;
    const char* const after = ScanNumber(at_, end_, number);
    if (after == nullptr) return Unexpected("a number");
    at_ = after;
    return absl::OkStatus();
  }
  if (ConsumeWord("true") || ConsumeWord("false") || ConsumeWord("null")) return absl::OkStatus();
  return Unexpected("a value");
}

absl::Status JsonCursor::SkipValue() {
  std::bitset<kMaxDepth> is_object;  // of each level that is open
  size_t depth = 0;
  do {
    // A value, or the first of an array or object.
    const bool object = Consume('{');
    if (object || Consume('[')) {
      if (depth_ + depth >= kMaxDepth) {
        return absl::InvalidArgumentError(
            fmt::format("the JSON is nested over {} deep at byte {}", kMaxDepth, at_ - begin_));
      }
      if (!Consume(object ? '}' : ']')) {
        is_object[depth++] = object;
        if (object) RETURN_IF_ERROR(SkipKey());
        continue;
      }
    } else {
      RETURN_IF_ERROR(SkipScalar());
    }
    // What it belongs to goes on or ends.
    while (depth > 0 && !Consume(',')) {
      if (!Consume(is_object[depth - 1] ? '}' : ']')) return Unexpected("',' or an end");
      --depth;
    }
    if (depth > 0 && is_object[depth - 1]) RETURN_IF_ERROR(SkipKey());
  } while (depth > 0);
  return absl::OkStatus();
}

absl::Status JsonCursor::SkipKey() {
  if (Peek() != '"') return Unexpected("a name in quotes");
  RETURN_IF_ERROR(SkipScalar());
  return Consume(':') ? absl::OkStatus() : Unexpected("':'");
}

absl::Status JsonCursor::ExpectEnd() {
  return Peek() == '\0' && at_ == end_ ? absl::OkStatus() : Unexpected("the end of the JSON");
}

absl::Status JsonCursor::Unexpected(std::string_view expected) {
  Peek();
  const std::string_view left(at_, static_cast<size_t>(end_ - at_));
  const std::string came = left.empty() ? "the end" : fmt::format("'{}'", Clip(left, 24));
  return absl::InvalidArgumentError(
      fmt::format("at byte {} of the JSON came {}; expected {}", at_ - begin_, came, expected));
}

}  // namespace torchfleet::gateway::rest
