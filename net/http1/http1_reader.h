#pragma once
// HTTP/1.1 messages out of bytes that come in pieces, cut anywhere (RFC 9112).
//
//   Next ─► kHead ─► kBody … ─► kEnd ─► (Begin) ─► the next message
//      └── kMore: all bytes are taken        └── kError: the connection is over
//
// Strict where laxness lets two parties read one text in two ways: bare line
// feeds, folded lines, spaces before a colon, lengths that are told twice or
// beside a transfer coding, and transfer codings other than `chunked` are errors.
//
// Heads come as HTTP/2 has them: names in lower case, `:method`, `:path`,
// `:authority` or `:status` first, and without the fields of one connection.
// Keeps its room from message to message. Pure; not thread-safe.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http/headers.h"

namespace torchfleet::net {

class Http1Reader {
 public:
  enum class Role { kRequests, kAnswers };
  enum class Event { kMore, kHead, kBody, kEnd, kError };

  // What the head says of its message.
  struct Message {
    bool keep_alive = true;
    // An HTTP/1.0 peer: it knows no chunks.
    bool old = false;
    bool expects_continue = false;
    bool takes_trailers = false;
    bool has_body = false;
  };

  struct Error {
    // The HTTP status that says it.
    int status = 400;
    std::string_view text;
  };

  // Heads over `header_bytes`, and trailers, are refused.
  Http1Reader(Role role, size_t header_bytes) : role_(role), header_bytes_(header_bytes) {}

  // Ready for a message. `to_head`: an answer to HEAD has no body, whatever it
  // says.
  void Begin(bool to_head = false);

  // Takes from the front of `bytes` up to the next event. kHead fills `head`,
  // kEnd `trailers`; kBody's bytes are body(), inside `bytes` as they were.
  Event Next(std::string_view& bytes, Headers& head, Headers& trailers);
  // The peer has closed. kEnd where that is how the body ends, kError inside a
  // message, kMore between two.
  Event Close();

  // Some of a head has come.
  bool head_begun() const { return state_ == State::kHead && !text_.empty(); }
  bool in_body() const { return state_ != State::kHead && state_ != State::kEnded; }
  const Message& message() const { return message_; }
  const Error& error() const { return error_; }
  std::string_view body() const { return body_; }

 private:
  enum class State {
    kHead,
    kLength,
    kUntilClose,
    kChunkSize,
    kChunk,
    kChunkEnd,
    kTrailers,
    kEnded,
    kBroken
  };

  std::optional<Event> Step(std::string_view& bytes, Headers& head, Headers& trailers);
  void SkipEmptyLines(std::string_view& bytes);
  Event TakeHead(std::string_view& bytes, Headers& head);
  bool ReadHead(std::string_view text, Headers& head);
  bool ReadRequestLine(std::string_view line, Headers& head);
  bool ReadTarget(std::string_view target, Headers& head);
  bool ReadStatusLine(std::string_view line, Headers& head);
  bool ReadField(std::string_view line, Headers& fields, bool trailer);
  bool ReadOfConnection(std::string_view name, std::string_view value);
  bool ReadLength(std::string_view value);
  void ReadConnection(std::string_view value);
  bool FinishHead();
  Event TakeBody(std::string_view& bytes);
  std::optional<Event> TakeChunkSize(std::string_view& bytes);
  std::optional<Event> TakeChunkEnd(std::string_view& bytes);
  std::optional<Event> TakeTrailers(std::string_view& bytes, Headers& trailers);
  // Takes bytes up to a line's end. What there is of the line, with its end and
  // not much over `most`; it stands in text_ if it was cut.
  std::string_view TakeLine(std::string_view& bytes, size_t most);
  Event Ended();
  bool Fail(int status, std::string_view text);
  Event Broken(int status, std::string_view text) {
    Fail(status, text);
    return Event::kError;
  }

  const Role role_;
  const size_t header_bytes_;
  State state_ = State::kHead;
  bool to_head_ = false;
  Message message_;
  Error error_;
  std::string text_;  // of a head or a line that is not whole
  std::string_view body_;
  uint64_t left_ = 0;
  size_t chunk_end_ = 0;  // what has come of a chunk's line end
  size_t trailer_bytes_ = 0;
  // Of the head that is read.
  std::string name_;
  std::string_view authority_;  // inside its text
  int status_ = 0;
  bool has_length_ = false;
  bool chunked_ = false;
  bool has_host_ = false;
};

}  // namespace torchfleet::net
