#include "net/http1/http1_reader.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "net/http1/http1_writer.h"

namespace torchfleet::net {
namespace {

constexpr size_t kLimit = 512;
using Event = Http1Reader::Event;

// Everything that came of some bytes, as one text.
struct Told {
  std::string text;
  int status = 0;  // of an error
};

std::string Fields(const Headers& headers) {
  std::string text;
  for (const auto [name, value] : headers)
    text += std::string(name) + "=" + std::string(value) + ";";
  return text;
}

Told Tell(std::string_view bytes, size_t step,
          Http1Reader::Role role = Http1Reader::Role::kRequests, bool close = false) {
  Http1Reader reader(role, kLimit);
  reader.Begin();
  Told told;
  Headers head, trailers;
  while (true) {
    std::string_view piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    const bool last = piece.empty();
    for (Event event = Event::kBody; event != Event::kMore;) {
      event = reader.Next(piece, head, trailers);
      if (event == Event::kHead) told.text += "[" + Fields(head) + "]";
      if (event == Event::kBody) told.text += reader.body();
      if (event == Event::kEnd) {
        told.text += "<" + Fields(trailers) + ">";
        trailers.Clear();
      }
      if (event == Event::kError) {
        told.status = reader.error().status;
        return told;
      }
      // A message without a body has ended with its head.
      if (event == Event::kEnd || (event == Event::kHead && !reader.message().has_body)) {
        reader.Begin();
      }
    }
    CHECK(piece.empty());
    if (last) break;
  }
  if (close && reader.Close() == Event::kEnd) told.text += "<>";
  return told;
}

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kGetTold = "[:method=GET;:scheme=http;:path=/a;:authority=h;]";

TEST_CASE("Http1Reader: requests, however they are cut", "[net][http1]") {
  struct Row {
    std::string bytes, told;
  };
  const Row rows[] = {
      {kGet, kGetTold},
      {"\r\n" + kGet + kGet, kGetTold + kGetTold},
      {"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX-A:  b c \r\n\r\nhello" + kGet,
       "[:method=POST;:scheme=http;:path=/p;content-length=5;x-a=b c;:authority=h;]hello<>" +
           kGetTold},
      {"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n" + kGet,
       "[:method=POST;:scheme=http;:path=/p;content-length=0;:authority=h;]" + kGetTold},
      {"PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nHost: h\r\n\r\n"
       "3\r\nabc\r\nA;ext=\"x\"\r\n0123456789\r\n0\r\nX-T: t\r\n\r\n" +
           kGet,
       "[:method=PUT;:scheme=http;:path=/;:authority=h;]abc0123456789<x-t=t;>" + kGetTold},
      {"GET http://host:80/x?y HTTP/1.1\r\nHost: other\r\n\r\n",
       "[:method=GET;:scheme=http;:path=/x?y;:authority=host:80;]"},
      {"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close, x\r\nUpgrade: h2c\r\n\r\n",
       "[:method=OPTIONS;:scheme=http;:path=*;:authority=h;]"},
      {"GET / HTTP/1.0\r\n\r\n", "[:method=GET;:scheme=http;:path=/;:authority=;]"},
  };
  for (const Row& row : rows) {
    for (size_t step = 1; step <= row.bytes.size(); ++step) {
      CAPTURE(row.bytes, step);
      const Told told = Tell(row.bytes, step);
      CHECK(told.text == row.told);
      CHECK(told.status == 0);
    }
  }
}

TEST_CASE("Http1Reader: what two could read in two ways is refused", "[net][http1]") {
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  struct Row {
    std::string bytes;
    int status;
  };
  const Row rows[] = {
      {"GET / HTTP/1.1\nHost: h\n\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", 400},
      {std::string("GET / HTTP/1.1\r\nHost: h\r\nA: b") + '\0' + "c\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /\tb HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
      {"GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400},
      {"\x16\x03\x01\x02\x01", 400},
      {post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
      {post + "Content-Length: 1, 1\r\n\r\nx", 400},
      {post + "Content-Length: +1\r\n\r\nx", 400},
      {post + "Content-Length: \r\n\r\nx", 400},
      {post + "Content-Length: 99999999999999999999\r\n\r\nx", 400},
      {post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {post + "Expect: 200-ok\r\n\r\n", 417},
      {post + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(300, 'e') + "\r\nx", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n0\r\na: " + std::string(600, 't') + "\r\n", 431},
      {"GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(600, 'a') + "\r\n\r\n", 431},
      {"GET /" + std::string(600, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
  };
  for (const Row& row : rows) {
    for (const size_t step : {size_t{1}, size_t{7}, row.bytes.size()}) {
      CAPTURE(row.bytes, step);
      CHECK(Tell(row.bytes, step).status == row.status);
    }
  }
}

TEST_CASE("Http1Reader: a head is as long as is allowed, however it is cut", "[net][http1]") {
  const std::string line = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
  for (const size_t size : {kLimit - 1, kLimit, kLimit + 1}) {
    const std::string text = line + std::string(size - line.size(), 'x') + "\r\n\r\n";
    for (const size_t step : {size_t{1}, size_t{5}, text.size()}) {
      CAPTURE(size, step);
      CHECK(Tell(text, step).status == (size > kLimit ? 431 : 0));
    }
  }
}

TEST_CASE("Http1Reader: answers end by length, chunks or with the connection", "[net][http1]") {
  struct Row {
    std::string bytes, told;
  };
  const Row rows[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "[:status=200;content-length=2;]hi<>"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
       "[:status=100;][:status=204;]"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
       "[:status=200;]hi<>"},
      {"HTTP/1.0 200 OK\r\n\r\nall of it", "[:status=200;]all of it<>"},
      {"HTTP/1.1 304\r\nContent-Length: 7\r\n\r\n", "[:status=304;content-length=7;]"},
  };
  for (const Row& row : rows) {
    for (size_t step = 1; step <= row.bytes.size(); ++step) {
      CAPTURE(row.bytes, step);
      CHECK(Tell(row.bytes, step, Http1Reader::Role::kAnswers, /*close=*/true).text == row.told);
    }
  }
  for (const char* wrong : {"HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
                            "HTTP/1.1 200OK\r\n\r\n"}) {
    CAPTURE(wrong);
    CHECK(Tell(wrong, 1000, Http1Reader::Role::kAnswers).status == 400);
  }
}

TEST_CASE("Http1Reader: an end inside a message is an error", "[net][http1]") {
  for (const char* part : {"GET /", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe",
                           "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    CAPTURE(part);
    Http1Reader reader(Http1Reader::Role::kRequests, kLimit);
    reader.Begin();
    Headers head, trailers;
    std::string_view bytes = part;
    while (reader.Next(bytes, head, trailers) != Event::kMore) {
    }
    CHECK(reader.Close() == Event::kError);
  }
}

TEST_CASE("Http1Writer: a head that no value can break", "[net][http1]") {
  Headers headers;
  headers.Add(":status", "404");
  headers.Add("x-a", "1");
  headers.Add("x-evil", "1\r\nset-cookie: x");
  headers.Add("connection", "upgrade");
  std::string bytes;
  AppendAnswerHead(headers,
                   {.end = BodyEnd::kChunks,
                    .keep_alive = false,
                    .old_peer = false,
                    .date = absl::FromUnixSeconds(784111777)},
                   bytes);
  CHECK(bytes ==
        "HTTP/1.1 404 Not Found\r\nx-a: 1\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
}

}  // namespace
}  // namespace torchfleet::net
