#pragma once
// Heads and chunks of HTTP/1.1 as bytes. Pure.

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "net/http/headers.h"

namespace torchfleet::net {

// How the end of a body is told.
enum class BodyEnd { kNoBody, kLength, kChunks, kClose };

struct AnswerHead {
  BodyEnd end = BodyEnd::kLength;
  // The connection stays for another request; what an HTTP/1.0 peer must be told.
  bool keep_alive = true;
  bool old_peer = false;
  absl::Time date;
};

// Appends the head of an answer: `:status` first among `headers`. Fields that
// are the connection's, and values that would end their line, are left out.
void AppendAnswerHead(const Headers& headers, const AnswerHead& how, std::string& bytes);
// Appends the head of a request, with a body in chunks or as the headers say.
void AppendRequestHead(const Headers& headers, bool chunked, std::string& bytes);
void AppendFields(const Headers& headers, std::string& bytes);
// The line before a chunk.
void AppendChunkHead(size_t size, std::string& bytes);

}  // namespace torchfleet::net
