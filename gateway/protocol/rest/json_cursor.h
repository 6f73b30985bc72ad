#pragma once
// A position in a JSON text that is read once, from front to back, without a
// tree: the caller asks for what should come next.
//
// The text is UTF-8 (CheckUtf8 first). All of RFC 8259's grammar is checked, in
// what is skipped too; nothing nested deeper than kMaxDepth is read.
//
// Errors are INVALID_ARGUMENT and say at which byte, what came and what was
// expected.
//
// Borrows the text. Not thread-safe.

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status.h"

namespace torchfleet::gateway::rest {

// Of arrays and objects in one another.
inline constexpr size_t kMaxDepth = 100;

// INVALID_ARGUMENT for a text that is not UTF-8.
absl::Status CheckUtf8(std::string_view text);

// The text of a JSON string whose inside is `raw`, written to `out`, which has
// room for raw.size() bytes. Nothing when an escape is none or half of a
// surrogate pair.
std::optional<size_t> Unescape(std::string_view raw, char* out);

// Texts that had escapes, decoded; they stand until Clear().
class TextArena {
 public:
  void Clear() { texts_.clear(); }
  std::optional<std::string_view> Unescaped(std::string_view raw);

 private:
  std::list<std::string> texts_;
};

class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  const char* at() const { return at_; }
  const char* end() const { return end_; }
  void MoveTo(const char* at) { at_ = at; }

  static const char* SkipSpace(const char* at, const char* end) {
    while (at != end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) ++at;
    return at;
  }

  // The next character that is not white space, 0 at the end.
  char Peek() {
    at_ = SkipSpace(at_, end_);
    return at_ == end_ ? '\0' : *at_;
  }
  bool Consume(char expected) {
    if (Peek() != expected || at_ == end_) return false;
    ++at_;
    return true;
  }
  // true, false or null.
  bool ConsumeWord(std::string_view word);

  // What lies between the quotes, escapes and all.
  absl::StatusOr<std::string_view> RawString();
  absl::StatusOr<std::string_view> String(TextArena& texts);

  // Whatever value comes next.
  absl::Status SkipValue();
  // Nothing but white space is left.
  absl::Status ExpectEnd();

  // What is read came as something else than `expected`.
  absl::Status Unexpected(std::string_view expected);

  // Calls visit(key) for each member; it reads the value.
  template <typename Visit>
  absl::Status Object(TextArena& texts, Visit&& visit);
  // Calls visit() for each element.
  template <typename Visit>
  absl::Status Array(Visit&& visit);

 private:
  absl::Status SkipScalar();
  absl::Status SkipKey();

  const char* begin_;
  const char* at_;
  const char* end_;
  // Objects and arrays whose visitors run.
  size_t depth_ = 0;
};

template <typename Visit>
absl::Status JsonCursor::Object(TextArena& texts, Visit&& visit) {
  if (!Consume('{')) return Unexpected("an object");
  if (Consume('}')) return absl::OkStatus();
  ++depth_;
  do {
    if (Peek() != '"') return Unexpected("a name in quotes");
    ASSIGN_OR_RETURN(const std::string_view key, String(texts));
    if (!Consume(':')) return Unexpected("':'");
    RETURN_IF_ERROR(visit(key));
  } while (Consume(','));
  --depth_;
  return Consume('}') ? absl::OkStatus() : Unexpected("',' or '}'");
}

template <typename Visit>
absl::Status JsonCursor::Array(Visit&& visit) {
  if (!Consume('[')) return Unexpected("a list");
  if (Consume(']')) return absl::OkStatus();
  ++depth_;
  do {
    RETURN_IF_ERROR(visit());
  } while (Consume(','));
  --depth_;
  return Consume(']') ? absl::OkStatus() : Unexpected("',' or ']'");
}

}  // namespace torchfleet::gateway::rest
