// What a server may do to an HTTP/1.1 client, byte by byte.

#include "net/http1/http1_client.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/unit/net/http1_peer.h"
#include "tests/unit/net/requester.h"

namespace torchfleet::net {
namespace {

const std::string kOk = "HTTP/1.1 200 OK\r\n";
const std::string kAnswer = kOk + "content-length: 6\r\n\r\nanswer";

// The request has come through here, to its body's end.
void ReadRequest(Http1Peer& peer, const std::string& body) {
  REQUIRE(peer.ReadThrough("\r\n\r\n" + body).ends_with("\r\n\r\n" + body));
}

TEST_CASE("Http1Client: what it asks, and one connection for one request after the other",
          "[net][http1][client]") {
  Http1Listener listener;
  Requester requester(listener.address());
  const auto first = requester.Post("hi");
  const auto peer = listener.Accept();
  CHECK(peer->ReadThrough("hi") == "POST /echo HTTP/1.1\r\nhost: " + listener.address().text +
                                       "\r\ncontent-length: 2\r\n\r\nhi");
  peer->Write(kAnswer);
  CHECK(first->Code() == CloseCode::kNoError);
  CHECK(first->Status() == "200");
  CHECK(first->whole);
  CHECK(first->body == "answer");
  CHECK(first->sent == 2);
  const auto second = requester.Get("/other");
  CHECK(peer->ReadThrough("\r\n\r\n").starts_with("GET /other HTTP/1.1\r\n"));
  peer->Write(kAnswer);
  CHECK(second->Code() == CloseCode::kNoError);
  const auto third = requester.Begin({.method = "PUT", .body = "chunk"});
  CHECK(peer->ReadThrough("0\r\n\r\n")
            .ends_with("transfer-encoding: chunked\r\n\r\n5\r\nchunk\r\n0\r\n\r\n"));
  peer->Write(kAnswer);
  CHECK(third->Body() == "answer");
}

TEST_CASE("Http1Client: answers of every form, cut anywhere", "[net][http1][client]") {
  struct Row {
    const char* what;
    std::string bytes;
    std::string body;
    bool goes_on;  // the connection, with the next request
    std::string trailer = "";
  };
  const std::string chunks = "2;x=y\r\nan\r\n4\r\nswer\r\n0\r\n";
  const Row rows[] = {
      {"a length", kAnswer, "answer", true},
      {"chunks", kOk + "transfer-encoding: chunked\r\n\r\n" + chunks + "\r\n", "answer", true},
      {"trailers", kOk + "transfer-encoding: chunked\r\n\r\n" + chunks + "t: end\r\n\r\n", "answer",
       true, "end"},
      {"no body", "HTTP/1.1 204 No Content\r\n\r\n", "", true},
      {"a body of nothing", kOk + "content-length: 0\r\n\r\n", "", true},
      {"an empty body in chunks", kOk + "transfer-encoding: chunked\r\n\r\n0\r\n\r\n", "", true},
      {"other answers before it",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + kAnswer,
       "answer", true},
      {"an old server", "HTTP/1.0 200 OK\r\ncontent-length: 6\r\n\r\nanswer", "answer", false},
      {"an old server that stays",
       "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 6\r\n\r\nanswer", "answer",
       true},
      {"a farewell", kOk + "Connection: close\r\ncontent-length: 6\r\n\r\nanswer", "answer", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Http1Listener listener;
    Requester requester(listener.address());
    const auto request = requester.Post("x");
    auto peer = listener.Accept();
    ReadRequest(*peer, "x");
    for (const char byte : row.bytes) {
      peer->Write({&byte, 1});
      requester.Do([] {});  // it has read that byte
    }
    CHECK(request->Code() == CloseCode::kNoError);
    CHECK(request->whole);
    CHECK(request->body == row.body);
    CHECK(request->trailers.ValueOr("t", "") == row.trailer);
    CHECK(!request->head.Find("link"));
    const auto next = requester.Post("y");
    if (!row.goes_on) {
      CHECK(peer->ReadAll().empty());
      peer = listener.Accept();
    }
    ReadRequest(*peer, "y");
    peer->Write(kAnswer);
    CHECK(next->Status() == "200");
  }
}

TEST_CASE("Http1Client: an answer to HEAD has no body, whatever it says", "[net][http1][client]") {
  Http1Listener listener;
  Requester requester(listener.address());
  const auto head = requester.Get("/", "HEAD");
  const auto peer = listener.Accept();
  ReadRequest(*peer, "");
  peer->Write("HTTP/1.1 103 Early Hints\r\n\r\n" + kOk + "content-length: 100\r\n\r\n");
  CHECK(head->Code() == CloseCode::kNoError);
  CHECK(head->head.ValueOr("content-length", "") == "100");
  CHECK(head->whole);
  const auto next = requester.Get("/");
  ReadRequest(*peer, "");
  peer->Write(kAnswer);
  CHECK(next->Body() == "answer");
}

TEST_CASE("Http1Client: an answer may end with the connection, if it ends cleanly",
          "[net][http1][client]") {
  for (const bool cleanly : {true, false}) {
    CAPTURE(cleanly);
    Http1Listener listener;
    Requester requester(listener.address());
    const auto request = requester.Post("x");
    const auto peer = listener.Accept();
    ReadRequest(*peer, "x");
    peer->Write(kOk + "\r\nanswer");
    request->begun.wait();
    cleanly ? peer->Close() : peer->Break();
    CHECK(request->Code() == (cleanly ? CloseCode::kNoError : CloseCode::kConnectionLost));
    CHECK(request->whole == cleanly);
    CHECK(request->body == "answer");
  }
}

TEST_CASE("Http1Client: a connection that breaks before the answer is whole loses it",
          "[net][http1][client]") {
  const std::string chunked = kOk + "transfer-encoding: chunked\r\n\r\n";
  for (const std::string& part :
       {std::string(), kOk.substr(0, 9), kOk, kOk + "content-length: 6\r\n\r\nansw", chunked,
        chunked + "6\r\nansw", chunked + "6\r\nanswer\r\n", chunked + "0\r\n"}) {
    for (const bool cleanly : {true, false}) {
      CAPTURE(part, cleanly);
      Http1Listener listener;
      Requester requester(listener.address());
      const auto request = requester.Post("x");
      const auto peer = listener.Accept();
      ReadRequest(*peer, "x");
      peer->Write(part);
      cleanly ? peer->Close() : peer->Break();
      CHECK(request->Code() == CloseCode::kConnectionLost);
      CHECK(!request->whole);
    }
  }
}

TEST_CASE("Http1Client: what is no HTTP/1.1 ends the connection", "[net][http1][client]") {
  for (const std::string& bytes :
       {std::string("garbage\r\n\r\n"), std::string("HTTP/2 200\r\n\r\n"), kOk + "a : b\r\n\r\n",
        kOk + "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        kOk + "content-length: -1\r\n\r\n", kOk + "transfer-encoding: gzip\r\n\r\n",
        kOk + "transfer-encoding: chunked\r\n\r\nz\r\n", kOk + "a: " + std::string(9000, 'a')}) {
    CAPTURE(bytes.substr(0, 60));
    Http1Listener listener;
    Requester requester(listener.address());
    const auto request = requester.Post("x");
    const auto peer = listener.Accept();
    ReadRequest(*peer, "x");
    peer->Write(bytes);
    CHECK(request->Code() == CloseCode::kProtocolError);
    CHECK(!request->whole);
    peer->ReadAll();
    CHECK(peer->ended());
    const auto next = requester.Post("y");
    const auto other = listener.Accept();
    ReadRequest(*other, "y");
    other->Write(kAnswer);
    CHECK(next->Status() == "200");
  }
}

TEST_CASE("Http1Client: an answer before its request's end costs the connection",
          "[net][http1][client]") {
  Http1Listener listener;
  Requester requester(listener.address());
  const auto request = requester.Begin({.body = "beginning", .length = "1000000", .ends = false});
  const auto peer = listener.Accept();
  ReadRequest(*peer, "beginning");
  peer->Write("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno");
  CHECK(request->Code() == CloseCode::kNoError);
  CHECK(request->Status() == "413");
  CHECK(request->body == "no");
  CHECK(peer->ReadAll().empty());
  CHECK(peer->ended());
}

TEST_CASE("Http1Client: an answer is read though the rest of its request cannot be written",
          "[net][http1][client]") {
  Http1Listener listener;
  Requester requester(listener.address());
  const auto request = requester.Begin({.body = "beginning", .length = "1000000", .ends = false});
  const auto peer = listener.Accept();
  ReadRequest(*peer, "beginning");
  // All in one turn of the loop, so that writing is what it comes to first.
  requester.Do([&] {
    peer->Write("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno");
    peer->Break();
    request->stream->SendCopy("more", /*end=*/false);
  });
  CHECK(request->Code() == CloseCode::kNoError);
  CHECK(request->whole);
  CHECK(request->Status() == "413");
  CHECK(request->body == "no");
}

TEST_CASE("Http1Client: bytes that nobody asked for cost the connection", "[net][http1][client]") {
  for (const bool idle : {false, true}) {
    CAPTURE(idle);
    Http1Listener listener;
    Requester requester(listener.address());
    const auto request = requester.Post("x");
    const auto peer = listener.Accept();
    ReadRequest(*peer, "x");
    peer->Write(idle ? kAnswer : kAnswer + kAnswer);
    CHECK(request->Body() == "answer");
    if (idle) peer->Write(kAnswer);
    CHECK(peer->ReadAll().empty());
    const auto next = requester.Post("y");
    const auto other = listener.Accept();
    ReadRequest(*other, "y");
    other->Write(kAnswer);
    CHECK(next->Status() == "200");
  }
}

TEST_CASE("Http1Client: a connection that the server has closed is not used again",
          "[net][http1][client]") {
  Http1Listener listener;
  Requester requester(listener.address());
  const auto request = requester.Post("x");
  const auto peer = listener.Accept();
  ReadRequest(*peer, "x");
  peer->Write(kAnswer);
  CHECK(request->Code() == CloseCode::kNoError);
  peer->Close();
  const auto next = requester.Post("y");
  const auto other = listener.Accept();
  ReadRequest(*other, "y");
  other->Write(kAnswer);
  CHECK(next->Status() == "200");
}

TEST_CASE("Http1Client: a request that is given up costs its connection, and no time",
          "[net][http1][client]") {
  Http1Listener listener;
  Requester requester(listener.address());
  // A server that says nothing at all is no reason for a pause.
  for (int i = 0; i < 3; ++i) {
    const auto request = requester.Post("x");
    const auto peer = listener.Accept();
    ReadRequest(*peer, "x");
    requester.Reset(*request);
    CHECK(request->Code() == CloseCode::kCancel);
    CHECK(peer->ReadAll().empty());
    CHECK(peer->ended());
  }
}

TEST_CASE("Http1Client: an answer that nobody takes stops its server", "[net][http1][client]") {
  Http1Listener listener;
  Requester requester(listener.address());
  const auto request = requester.Begin({.method = "GET"}, /*reads=*/false);
  const auto peer = listener.Accept();
  ReadRequest(*peer, "");
  peer->Write(kOk + "content-length: 100000000\r\n\r\n");
  const std::string body(64 << 20, 'x');
  CHECK(peer->WriteUntilFull(body) < body.size() / 2);
  requester.Reset(*request);
  CHECK(request->Code() == CloseCode::kCancel);
}

TEST_CASE("Http1Client: what is left when the pool ends is told", "[net][http1][client]") {
  Http1Listener listener;
  Requester requester(listener.address());
  const auto request = requester.Post("x");
  const auto peer = listener.Accept();
  ReadRequest(*peer, "x");
  requester.EndPool();
  CHECK(request->Code() == CloseCode::kConnectionLost);
  CHECK(peer->ReadAll().empty());
}

TEST_CASE("Http1Client: one that has been idle for long is closed", "[net][http1][client]") {
  Http1Listener listener;
  ConnectionPool::Options options;
  options.http = Requester::Http::k1;
  options.limits.times.idle = absl::Milliseconds(20);
  Requester requester(listener.address(), options);
  const auto request = requester.Post("x");
  const auto peer = listener.Accept();
  ReadRequest(*peer, "x");
  peer->Write(kAnswer);
  CHECK(request->Code() == CloseCode::kNoError);
  CHECK(peer->ReadAll().empty());
  CHECK(peer->ended());
}

}  // namespace
}  // namespace torchfleet::net
