#include "net/http1/http1_reader.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "net/http1/http1_grammar.h"

namespace torchfleet::net {
namespace {

constexpr std::string_view kLineEnd = "\r\n", kHeadEnd = "\r\n\r\n";
// A chunk's size and its extensions.
constexpr size_t kMostOfChunkLine = 256;
// No length that fits in memory has more digits.
constexpr size_t kMostDigits = 18;

}  // namespace

void Http1Reader::Begin(bool to_head) {
  state_ = State::kHead;
  to_head_ = to_head;
  message_ = {};
  text_.clear();
}

bool Http1Reader::Fail(int status, std::string_view text) {
  state_ = State::kBroken;
  error_ = {.status = status, .text = text};
  return false;
}

Http1Reader::Event Http1Reader::Next(std::string_view& bytes, Headers& head, Headers& trailers) {
  while (true) {
    if (const auto event = Step(bytes, head, trailers)) return *event;
  }
}

// Nothing when another step is to be made.
std::optional<Http1Reader::Event> Http1Reader::Step(std::string_view& bytes, Headers& head,
                                                    Headers& trailers) {
  if (state_ == State::kLength && left_ == 0) return Ended();
  if (state_ == State::kEnded || (bytes.empty() && state_ != State::kBroken)) return Event::kMore;
  switch (state_) {
    case State::kHead:
      return TakeHead(bytes, head);
    case State::kLength:
    case State::kUntilClose:
    case State::kChunk:
      return TakeBody(bytes);
    case State::kChunkSize:
      return TakeChunkSize(bytes);
    case State::kChunkEnd:
      return TakeChunkEnd(bytes);
    case State::kTrailers:
      return TakeTrailers(bytes, trailers);
    default:
      return Event::kError;
  }
}

Http1Reader::Event Http1Reader::Close() {
  if (state_ == State::kUntilClose) return Ended();
  if (state_ == State::kEnded || (state_ == State::kHead && text_.empty())) return Event::kMore;
  return Broken(400, "the connection ended inside a message");
}

Http1Reader::Event Http1Reader::Ended() {
  state_ = State::kEnded;
  return Event::kEnd;
}

// Their end may be cut too.
void Http1Reader::SkipEmptyLines(std::string_view& bytes) {
  while (!bytes.empty() && (text_.empty() ? bytes.front() == '\r' : text_ == "\r")) {
    if (text_.empty()) {
      text_ = "\r";
    } else if (bytes.front() == '\n') {
      text_.clear();
    } else {
      return;
    }
    bytes.remove_prefix(1);
  }
}

Http1Reader::Event Http1Reader::TakeHead(std::string_view& bytes, Headers& head) {
  // Old clients put an empty line behind a body that their length does not count.
  SkipEmptyLines(bytes);
  if (bytes.empty()) return Event::kMore;
  if (text_.empty()) {
    if (const size_t end = bytes.find(kHeadEnd); end != bytes.npos && end <= header_bytes_) {
      const std::string_view whole = bytes.substr(0, end);
      bytes.remove_prefix(end + kHeadEnd.size());
      return ReadHead(whole, head) ? Event::kHead : Event::kError;
    }
  }
  const size_t had = text_.size();
  // A head's end may be cut, and nothing over the limit is needed to see that.
  text_.append(bytes.substr(0, header_bytes_ + kHeadEnd.size() - std::min(had, header_bytes_)));
  const size_t end = text_.find(kHeadEnd, had < 3 ? 0 : had - 3);
  if (end != text_.npos && end <= header_bytes_) {
    bytes.remove_prefix(end + kHeadEnd.size() - had);
    const bool fine = ReadHead(std::string_view(text_).substr(0, end), head);
    text_.clear();
    return fine ? Event::kHead : Event::kError;
  }
  if (role_ == Role::kRequests && !IsTokenChar(text_.front())) {
    return Broken(400, "the request line is not 'METHOD target HTTP/1.1'");
  }
  if (HasBareLineFeed(text_)) return Broken(400, "a line ends without a carriage return");
  if (text_.size() >= header_bytes_ + kHeadEnd.size()) {
    return text_.find(kLineEnd) == text_.npos ? Broken(414, "the request line is too long")
                                              : Broken(431, "the headers are over the limit");
  }
  bytes = {};
  return Event::kMore;
}

bool Http1Reader::ReadHead(std::string_view text, Headers& head) {
  has_length_ = chunked_ = has_host_ = false;
  left_ = 0;
  authority_ = {};
  head.Clear();
  const size_t first = std::min(text.find(kLineEnd), text.size());
  const bool fine = role_ == Role::kRequests ? ReadRequestLine(text.substr(0, first), head)
                                             : ReadStatusLine(text.substr(0, first), head);
  if (!fine) return false;
  text.remove_prefix(first);
  while (!text.empty()) {
    text.remove_prefix(kLineEnd.size());
    const size_t end = std::min(text.find(kLineEnd), text.size());
    if (!ReadField(text.substr(0, end), head, /*trailer=*/false)) return false;
    text.remove_prefix(end);
  }
  if (role_ == Role::kRequests) {
    if (!has_host_ && !message_.old) return Fail(400, "the request has no Host");
    head.Add(":authority", authority_);
  }
  return FinishHead();
}

bool Http1Reader::ReadRequestLine(std::string_view line, Headers& head) {
  const size_t method_end = line.find(' '), target_end = line.rfind(' ');
  if (method_end == line.npos || target_end <= method_end + 1) {
    return Fail(400, "the request line is not 'METHOD target HTTP/1.1'");
  }
  const std::string_view method = line.substr(0, method_end),
                         target = line.substr(method_end + 1, target_end - method_end - 1),
                         version = line.substr(target_end + 1);
  if (!IsToken(method)) return Fail(400, "the method is not a word");
  if (version.size() != 8 || !version.starts_with("HTTP/") || !IsDigits(version.substr(5, 1)) ||
      version[6] != '.' || !IsDigits(version.substr(7))) {
    return Fail(400, "the request line is not 'METHOD target HTTP/1.1'");
  }
  if (version[5] != '1') return Fail(505, "this version of HTTP is not spoken here");
  message_.old = version[7] == '0';
  message_.keep_alive = !message_.old;
  if (std::any_of(target.begin(), target.end(), [](char c) { return c <= 0x20 || c == 0x7f; })) {
    return Fail(400, "the target holds what no address does");
  }
  head.Add(":method", method);
  head.Add(":scheme", "http");
  return ReadTarget(target, head);
}

// A path, "*", or a whole URL as proxies are sent it.
bool Http1Reader::ReadTarget(std::string_view target, Headers& head) {
  if (target.front() == '/' || target == "*") {
    head.Add(":path", target);
    return true;
  }
  const size_t scheme = target.find("://");
  if (scheme == target.npos) return Fail(400, "the target is neither a path nor a URL");
  const std::string_view rest = target.substr(scheme + 3);
  const size_t host_end = std::min(rest.find_first_of("/?"), rest.size());
  if (host_end == 0) return Fail(400, "the target's URL names no host");
  authority_ = rest.substr(0, host_end);
  const std::string_view path = rest.substr(host_end);
  head.Add(":path", path.starts_with('/') ? path : "/" + std::string(path));
  return true;
}

bool Http1Reader::ReadStatusLine(std::string_view line, Headers& head) {
  const bool fine = line.size() >= 12 && line.starts_with("HTTP/1.") &&
                    IsDigits(line.substr(7, 1)) && line[8] == ' ' && IsDigits(line.substr(9, 3)) &&
                    (line.size() == 12 || line[12] == ' ') && IsFieldValue(line);
  if (!fine) return Fail(400, "the status line is not 'HTTP/1.1 200 OK'");
  message_.old = line[7] == '0';
  message_.keep_alive = !message_.old;
  std::from_chars(line.data() + 9, line.data() + 12, status_);
  head.Add(":status", line.substr(9, 3));
  return true;
}

bool Http1Reader::ReadField(std::string_view line, Headers& fields, bool trailer) {
  const size_t colon = line.find(':');
  if (colon == line.npos || !ReadToken(line.substr(0, colon), name_)) {
    return Fail(400, "a header line is not 'name: value'");
  }
  const std::string_view name = name_, value = Trimmed(line.substr(colon + 1));
  if (!IsFieldValue(value)) return Fail(400, "a header's value holds a control character");
  if (!trailer) {
    if (IsOfConnection(name)) return ReadOfConnection(name, value);
    if (name == "content-length" && !ReadLength(value)) return false;
  }
  fields.Add(name, value);
  return true;
}

bool Http1Reader::ReadOfConnection(std::string_view name, std::string_view value) {
  if (name == "connection") {
    ReadConnection(value);
  } else if (name == "te") {
    message_.takes_trailers = value.find("trailers") != value.npos;
  } else if (name == "transfer-encoding") {
    if (message_.old) return Fail(400, "HTTP/1.0 has no transfer codings");
    if (chunked_) return Fail(400, "the transfer coding is told twice");
    if (!EqualsIgnoringCase(value, "chunked")) {
      return Fail(501, "the only transfer coding that is known is 'chunked'");
    }
    chunked_ = true;
  } else if (name == "host") {
    if (has_host_) return Fail(400, "the host is named twice");
    has_host_ = true;
    // The target's own comes before it (RFC 9112, section 3.2.2).
    if (authority_.empty()) authority_ = value;
  } else if (name == "expect" && role_ == Role::kRequests && !message_.old) {
    if (!EqualsIgnoringCase(value, "100-continue")) {
      return Fail(417, "the only expectation that can be met is '100-continue'");
    }
    message_.expects_continue = true;
  }
  return true;
}

bool Http1Reader::ReadLength(std::string_view value) {
  if (has_length_) return Fail(400, "the content length is told twice");
  if (!IsDigits(value) || value.size() > kMostDigits) {
    return Fail(400, "the content length is not a number");
  }
  std::from_chars(value.data(), value.data() + value.size(), left_);
  has_length_ = true;
  return true;
}

void Http1Reader::ReadConnection(std::string_view value) {
  while (!value.empty()) {
    const size_t comma = std::min(value.find(','), value.size());
    const std::string_view word = Trimmed(value.substr(0, comma));
    if (EqualsIgnoringCase(word, "close")) message_.keep_alive = false;
    if (EqualsIgnoringCase(word, "keep-alive") && message_.old) message_.keep_alive = true;
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
}

// How long the body is (RFC 9112, section 6.3).
bool Http1Reader::FinishHead() {
  if (chunked_ && has_length_) return Fail(400, "a content length stands beside chunks");
  const bool answer = role_ == Role::kAnswers;
  const bool bodiless =
      answer && (to_head_ || status_ / 100 == 1 || status_ == 204 || status_ == 304);
  if (bodiless) {
    state_ = State::kEnded;
  } else if (chunked_) {
    state_ = State::kChunkSize;
    text_.clear();
  } else if (has_length_ && left_ > 0) {
    state_ = State::kLength;
  } else if (!has_length_ && answer) {
    state_ = State::kUntilClose;
    message_.keep_alive = false;
  } else {
    state_ = State::kEnded;
  }
  message_.has_body = state_ != State::kEnded;
  trailer_bytes_ = 0;
  return true;
}

Http1Reader::Event Http1Reader::TakeBody(std::string_view& bytes) {
  const bool bounded = state_ != State::kUntilClose;
  const size_t count =
      bounded ? static_cast<size_t>(std::min<uint64_t>(left_, bytes.size())) : bytes.size();
  body_ = bytes.substr(0, count);
  bytes.remove_prefix(count);
  if (bounded) left_ -= count;
  if (state_ == State::kChunk && left_ == 0) {
    state_ = State::kChunkEnd;
    chunk_end_ = 0;
  }
  return Event::kBody;
}

std::string_view Http1Reader::TakeLine(std::string_view& bytes, size_t most) {
  const size_t feed = bytes.find('\n');
  const size_t count = feed == bytes.npos ? bytes.size() : feed + 1;
  const std::string_view taken = bytes.substr(0, count);
  bytes.remove_prefix(count);
  if (text_.empty() && feed != bytes.npos) return taken;
  text_.append(taken.substr(0, most + 1 - std::min(most, text_.size())));
  return text_;
}

std::optional<Http1Reader::Event> Http1Reader::TakeChunkSize(std::string_view& bytes) {
  const std::string_view line = TakeLine(bytes, kMostOfChunkLine);
  if (line.size() > kMostOfChunkLine) return Broken(400, "a chunk's head is too long");
  if (!line.ends_with('\n')) return Event::kMore;
  if (!line.ends_with(kLineEnd)) return Broken(400, "a line ends without a carriage return");
  const char* const begin = line.data();
  const char* const end = begin + line.size() - kLineEnd.size();
  const auto [after, error] = std::from_chars(begin, end, left_, 16);
  const bool fine = error == std::errc() && after - begin <= 15 &&
                    (after == end || *after == ';' || *after == ' ' || *after == '\t') &&
                    IsFieldValue({after, static_cast<size_t>(end - after)});
  if (!fine) return Broken(400, "a chunk's size is not a hexadecimal number");
  text_.clear();
  state_ = left_ > 0 ? State::kChunk : State::kTrailers;
  return std::nullopt;
}

std::optional<Http1Reader::Event> Http1Reader::TakeChunkEnd(std::string_view& bytes) {
  for (; chunk_end_ < kLineEnd.size(); ++chunk_end_) {
    if (bytes.empty()) return Event::kMore;
    if (bytes.front() != kLineEnd[chunk_end_]) {
      return Broken(400, "a chunk is longer than its size");
    }
    bytes.remove_prefix(1);
  }
  state_ = State::kChunkSize;
  return std::nullopt;
}

std::optional<Http1Reader::Event> Http1Reader::TakeTrailers(std::string_view& bytes,
                                                            Headers& trailers) {
  std::string_view line = TakeLine(bytes, header_bytes_);
  if (trailer_bytes_ + line.size() > header_bytes_) {
    return Broken(431, "the trailers are over the limit");
  }
  if (!line.ends_with('\n')) return Event::kMore;
  if (!line.ends_with(kLineEnd)) return Broken(400, "a line ends without a carriage return");
  trailer_bytes_ += line.size();
  line.remove_suffix(kLineEnd.size());
  if (line.empty()) return Ended();
  if (!ReadField(line, trailers, /*trailer=*/true)) return Event::kError;
  text_.clear();
  return std::nullopt;
}

}  // namespace torchfleet::net
