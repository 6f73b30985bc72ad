// HTTP/1.1 connections, by real sockets.

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <thread>

#include "tests/unit/net/http1_peer.h"
#include "tests/unit/net/raw_peer.h"

namespace torchfleet::net {
namespace {

const std::string kHost = "Host: h\r\n";

std::string Get(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\n" + kHost + more + "\r\n";
}
std::string Post(const std::string& path, const std::string& body, const std::string& more = "") {
  return "POST " + path + " HTTP/1.1\r\n" + kHost + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
bool Has(const std::string& text, std::string_view part) {
  CAPTURE(text.substr(0, 2000), part);
  return text.find(part) != text.npos;
}

TEST_CASE("HTTP/1: one connection, many requests, and some at once", "[net][http1]") {
  const auto server = Http1Server();
  Http1Peer peer(*server);
  for (int i = 0; i < 3; ++i) {
    peer.Write(Post("/echo", "body"));
    const std::string answer = peer.ReadThrough("\r\n\r\nbody");
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(Has(answer, "content-length: 4\r\n"));
  }
  std::string pipelined;
  for (int i = 0; i < 200; ++i) pipelined += Post("/echo", "<" + std::to_string(i) + ">");
  peer.Write(pipelined);
  for (int i = 0; i < 200; ++i) {
    const std::string body = "<" + std::to_string(i) + ">";
    REQUIRE(peer.ReadThrough(body).ends_with("\r\n\r\n" + body));
  }
}

TEST_CASE("HTTP/1: chunks both ways, trailers, and an old peer", "[net][http1]") {
  const auto server = Http1Server();
  Http1Peer peer(*server);
  peer.Write("POST /echo HTTP/1.1\r\n" + kHost +
             "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\nT: t\r\n\r\n");
  const std::string answer = peer.ReadThrough("0\r\n\r\n");
  CHECK(Has(answer, "transfer-encoding: chunked\r\n"));
  CHECK(answer.ends_with("\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n"));
  Http1Peer old(*server);
  old.Write("POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi");
  const std::string closed = old.ReadAll();
  CHECK(Has(closed, "connection: close\r\n"));
  CHECK(closed.ends_with("\r\n\r\nhi"));
  CHECK(old.ended());
  Http1Peer kept(*server);
  kept.Write("GET /none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(Has(kept.ReadThrough("\r\n\r\n"), "connection: keep-alive\r\n"));
}

TEST_CASE("HTTP/1: HEAD tells the length and sends nothing", "[net][http1]") {
  const auto server = Http1Server();
  Http1Peer peer(*server);
  peer.Write("HEAD /large?100000 HTTP/1.1\r\n" + kHost + "\r\n" + Get("/none"));
  CHECK(Has(peer.ReadThrough("\r\n\r\n"), "content-length: 100000\r\n"));
  CHECK(peer.ReadThrough("\r\n\r\n").starts_with("HTTP/1.1 404"));
}

TEST_CASE("HTTP/1: who asks whether to go on is told, unless the answer is there", "[net][http1]") {
  const auto server = Http1Server();
  Http1Peer peer(*server);
  const std::string expect = "Expect: 100-continue\r\n";
  peer.Write("POST /echo HTTP/1.1\r\n" + kHost + expect + "Content-Length: 2\r\n\r\n");
  CHECK(peer.ReadThrough("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  peer.Write("ok");
  CHECK(peer.ReadThrough("ok").starts_with("HTTP/1.1 200"));
  peer.Write("POST /none HTTP/1.1\r\n" + kHost + expect + "Content-Length: 2\r\n\r\n");
  const std::string refused = peer.ReadAll();
  CHECK(refused.starts_with("HTTP/1.1 404"));
  CHECK(Has(refused, "connection: close\r\n"));
}

TEST_CASE("HTTP/1: an answer before the end of its request arrives", "[net][http1]") {
  const auto server = Http1Server();
  Http1Peer peer(*server);
  peer.Write("POST /none HTTP/1.1\r\n" + kHost + "Content-Length: 5000000\r\n\r\n");
  peer.Write(std::string(4 << 20, 'x'));
  CHECK(peer.ReadAll().starts_with("HTTP/1.1 404"));
}

TEST_CASE("HTTP/1: what is wrong is told and ends the connection; others go on", "[net][http1]") {
  const auto server = Http1Server();
  struct Row {
    std::string bytes, status;
  };
  for (const Row& row : {Row{"GARBAGE\r\n\r\n", "400"}, Row{"GET / HTTP/9.9\r\n\r\n", "505"},
                         Row{Get("/", "A: " + std::string(9000, 'a') + "\r\n"), "431"},
                         Row{Get("/" + std::string(9000, 'a')), "414"},
                         Row{Post("/hold", "x", "Transfer-Encoding: chunked\r\n"), "400"},
                         Row{Get("/reset"), "503"}}) {
    CAPTURE(row.bytes.substr(0, 60));
    Http1Peer peer(*server);
    peer.Write(row.bytes);
    const std::string answer = peer.ReadAll();
    CHECK(answer.starts_with("HTTP/1.1 " + row.status));
    CHECK(Has(answer, "connection: close\r\n"));
    CHECK(Has(answer, R"({"error":")"));
    CHECK(peer.ended());
  }
  Http1Peer other(*server);
  other.Write(Post("/echo", "still here"));
  CHECK(other.ReadThrough("still here").starts_with("HTTP/1.1 200"));
}

TEST_CASE("HTTP/1: large answers, also to a peer that reads late", "[net][http1]") {
  const auto server = Http1Server();
  Http1Peer slow(*server);
  slow.Write(Get("/large?20000000"));
  Http1Peer other(*server);
  other.Write(Post("/echo", "not held up"));
  CHECK(other.ReadThrough("not held up").starts_with("HTTP/1.1 200"));
  slow.Write(Get("/none"));
  const std::string first = slow.ReadThrough("HTTP/1.1 404");
  CHECK(first.size() > 20'000'000);
}

TEST_CASE("HTTP/1: a body that nobody takes stops its sender", "[net][http1]") {
  const auto server = Http1Server();
  Http1Peer peer(*server);
  peer.Write("POST /deaf HTTP/1.1\r\n" + kHost + "Content-Length: 100000000\r\n\r\n");
  const std::string body(64 << 20, 'x');
  CHECK(peer.WriteUntilFull(body) < body.size() / 2);
  Http1Peer other(*server);
  other.Write(Post("/echo", "not held up"));
  CHECK(other.ReadThrough("not held up").starts_with("HTTP/1.1 200"));
}

TEST_CASE("HTTP/1: who goes away while it waits has cancelled", "[net][http1]") {
  const auto server = Http1Server();
  const int before = CancelledStreams();
  {
    Http1Peer peer(*server);
    peer.Write(Get("/hold"));
    // Its request has been read when another's answer is there.
    Http1Peer other(*server);
    other.Write(Get("/none"));
    other.ReadThrough("\r\n\r\n");
    peer.Close();
    other.Write(Get("/none"));
    other.ReadThrough("\r\n\r\n");
    CHECK(CancelledStreams() == before + 1);
  }
  Http1Peer gone(*server);
  gone.Write(Get("/hold"));
  gone.HalfClose();
  CHECK(gone.ReadAll().empty());
  CHECK(CancelledStreams() == before + 2);
}

TEST_CASE("HTTP/1: times for headers, bodies and silence", "[net][http1]") {
  Http2Options options;
  options.times.headers = absl::Milliseconds(100);
  options.times.body = absl::Milliseconds(100);
  options.times.idle = absl::Milliseconds(200);
  const auto server = Http1Server(options);
  Http1Peer head(*server);
  head.Write("GET / HTTP/1.1\r\nHost");
  CHECK(head.ReadAll().starts_with("HTTP/1.1 408"));
  Http1Peer body(*server);
  body.Write("POST /hold HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nab");
  CHECK(body.ReadAll().starts_with("HTTP/1.1 408"));
  Http1Peer silent(*server);
  CHECK(silent.ReadAll().empty());
  CHECK(silent.ended());
  Http1Peer idle(*server);
  idle.Write(Get("/none"));
  CHECK(idle.ReadThrough("\r\n\r\n").starts_with("HTTP/1.1 404"));
  CHECK(idle.ReadAll().empty());
  CHECK(idle.ended());
}

TEST_CASE("HTTP/1: a server that drains answers what it has and closes", "[net][http1]") {
  const auto server = Http1Server();
  Http1Peer idle(*server), busy(*server);
  idle.Write(Get("/none"));
  idle.ReadThrough("\r\n\r\n");
  busy.Write("POST /echo HTTP/1.1\r\n" + kHost +
             "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  busy.ReadThrough("Continue\r\n\r\n");
  std::thread drain([&] { server->Drain(absl::Seconds(10)); });
  CHECK(idle.ReadAll().empty());
  CHECK(idle.ended());
  busy.Write("last");
  const std::string answer = busy.ReadAll();
  CHECK(answer.starts_with("HTTP/1.1 200"));
  CHECK(Has(answer, "connection: close\r\n"));
  CHECK(answer.ends_with("last"));
  drain.join();
}

TEST_CASE("HTTP/1: HTTP/2 on the same port, its preface cut anywhere", "[net][http1]") {
  const auto server = EchoServer();
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (size_t cut = 1; cut < preface.size(); cut += 3) {
    CAPTURE(cut);
    RawPeer peer(*server, /*hello=*/false);
    peer.Write(preface.substr(0, cut));
    peer.Write(preface.substr(cut) + FrameBytes(kSettingsFrame, 0, 0, ""));
    peer.Call(1, "hello");
    CHECK(peer.Echo(1) == "hello");
  }
}

}  // namespace
}  // namespace torchfleet::net
