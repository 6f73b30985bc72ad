// Requests of either HTTP, against our own server and against peers that do less.

#include "net/client/connection_pool.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/http1_peer.h"
#include "tests/unit/net/raw_peer.h"
#include "tests/unit/net/raw_tls.h"
#include "tests/unit/net/requester.h"

namespace torchfleet::net {
namespace {

using Http = ConnectionPool::Http;

Address AddressOf(const Server& server) { return *ParseAddress(server.address()); }

ConnectionPool::Options OptionsOf(Http http, int connections = 1) {
  ConnectionPool::Options options;
  options.http = http;
  options.connections = connections;
  return options;
}

// Bytes of which no two stretches are the same.
std::string Bytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * i / 251 + i);
  return bytes;
}

TEST_CASE("ConnectionPool: bodies of any size, with a length and without, by either HTTP",
          "[net][client]") {
  const auto server = Http1Server();
  for (const Http http : {Http::k1, Http::k2}) {
    Requester requester(AddressOf(*server), http);
    for (const size_t size : {1, 1000, 65'536, 5'000'000}) {
      const std::string body = Bytes(size);
      CAPTURE(http == Http::k1, size);
      const auto with = requester.Post(body), without = requester.Begin({.body = body});
      for (Requester::Request* const request : {with, without}) {
        CHECK(request->Code() == CloseCode::kNoError);
        CHECK(request->Status() == "200");
        CHECK(request->sent == size);
        CHECK((request->body == body));
      }
    }
    CHECK(requester.Get("/nowhere")->Status() == "404");
  }
}

TEST_CASE("ConnectionPool: by TLS, either HTTP", "[net][client][tls]") {
  TestAuthority authority;
  ServerOptions server_options;
  server_options.tls = authority.Issue("server");
  const auto server = Http1Server(std::move(server_options));
  for (const Http http : {Http::k1, Http::k2}) {
    CAPTURE(http == Http::k1);
    auto options = OptionsOf(http, 2);
    options.tls = *TlsContext::ForClient(authority.ca());
    Requester requester(AddressOf(*server), options);
    const std::string body = Bytes(1'000'000);
    std::vector<Requester::Request*> requests;
    for (int i = 0; i < 8; ++i) requests.push_back(requester.Post(body));
    for (Requester::Request* const request : requests) {
      CHECK(request->Code() == CloseCode::kNoError);
      CHECK((request->body == body));
    }
    // And over a connection that was used before.
    CHECK(requester.Post("again")->Status() == "200");
  }
}

TEST_CASE("ConnectionPool: by TLS, what is spoken is what was offered", "[net][client][tls]") {
  TestAuthority authority;
  for (const Http http : {Http::k1, Http::k2}) {
    RawTlsServer server(authority.Issue("server"));
    auto options = OptionsOf(http);
    options.tls = *TlsContext::ForClient(authority.ca());
    Requester requester(server.address(), options);
    const auto request = requester.Get("/");
    REQUIRE(server.Accept());
    if (http == Http::k2) {
      CHECK(server.offered() == "\x02h2");
      // A server that does not choose it would not understand it.
      CHECK(request->Code() == CloseCode::kNeverSent);
      continue;
    }
    CHECK(server.offered() == "\x08http/1.1");
    CHECK(server.Read().starts_with("GET / HTTP/1.1\r\n"));
    server.Write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    CHECK(request->Status() == "200");
    CHECK(request->body == "hi");
  }
}

TEST_CASE("ConnectionPool: by TLS, a certificate that nobody trusts gets no request",
          "[net][client][tls]") {
  TestAuthority authority, stranger;
  ServerOptions server_options;
  server_options.tls = stranger.Issue("server");
  const auto server = Http1Server(std::move(server_options));
  for (const Http http : {Http::k1, Http::k2}) {
    CAPTURE(http == Http::k1);
    auto options = OptionsOf(http);
    options.tls = *TlsContext::ForClient(authority.ca());
    Requester requester(AddressOf(*server), options);
    const auto request = requester.Post("secret");
    CHECK(request->Code() == CloseCode::kNeverSent);
    CHECK(request->head.empty());
  }
}

TEST_CASE("ConnectionPool: over HTTP/1.1 each request at a time has a connection",
          "[net][client]") {
  Http1Listener listener;
  Requester requester(listener.address(), Http::k1);
  std::vector<Requester::Request*> requests;
  std::vector<std::unique_ptr<Http1Peer>> peers;
  for (int i = 0; i < 3; ++i) {
    requests.push_back(requester.Post("x"));
    peers.push_back(listener.Accept());
    REQUIRE(peers.back()->ReadThrough("\r\n\r\nx").ends_with("x"));
  }
  for (const auto& peer : peers) peer->Write("HTTP/1.1 204 No Content\r\n\r\n");
  for (Requester::Request* const request : requests) CHECK(request->Status() == "204");
  // Then there are three that are free.
  for (int i = 0; i < 3; ++i) requests.push_back(requester.Post("y"));
  for (const auto& peer : peers) {
    REQUIRE(peer->ReadThrough("\r\n\r\ny").ends_with("y"));
    peer->Write("HTTP/1.1 204 No Content\r\n\r\n");
  }
  for (Requester::Request* const request : requests) CHECK(request->Status() == "204");
}

TEST_CASE("ConnectionPool: over HTTP/2 requests are spread over so many connections",
          "[net][client]") {
  RawListener listener;
  Requester requester(listener.address(), OptionsOf(Http::k2, 2));
  std::vector<Requester::Request*> requests;
  for (int i = 0; i < 6; ++i) requests.push_back(requester.Get("/"));
  const auto one = listener.Accept(), other = listener.Accept();
  for (RawPeer* const peer : {one.get(), other.get()}) {
    for (const uint32_t stream : {1u, 3u, 5u}) {
      const auto head = peer->NextOf(kHeadersFrame);
      REQUIRE(head);
      CHECK(head->stream == stream);
      peer->Write(kHeadersFrame, kEndHeaders | kEndStream, stream, Field(":status", "204"));
    }
  }
  for (Requester::Request* const request : requests) CHECK(request->Status() == "204");
}

TEST_CASE("ConnectionPool: nobody there is told, and tried again after a pause", "[net][client]") {
  for (const Http http : {Http::k1, Http::k2}) {
    CAPTURE(http == Http::k1);
    Http1Listener listener(Http1Listener::When::kLater);
    Requester requester(listener.address(), http);
    const Instant begin = MonotonicClock().Now();
    CHECK(requester.Post("x")->Code() == CloseCode::kNeverSent);
    listener.Listen();
    // Until the pause is over nobody is asked.
    Requester::Request* request = nullptr;
    do {
      request = requester.Post("x");
      requester.Do([] {});
      REQUIRE(MonotonicClock().Now() - begin < absl::Seconds(20));
    } while (!request->stream);
    CHECK(MonotonicClock().Now() - begin >= absl::Milliseconds(25));
    const auto peer = listener.Accept();
    requester.EndPool();
    CHECK(request->Code() != CloseCode::kNoError);
  }
}

TEST_CASE("ConnectionPool: over a Unix socket", "[net][client]") {
  const TemporaryFolder folder;
  ServerOptions options;
  options.listen = "unix:" + (folder.path() / "socket").string();
  const auto server = Http1Server(std::move(options));
  for (const Http http : {Http::k1, Http::k2}) {
    Requester requester(AddressOf(*server), http);
    CHECK(requester.Post("x")->Status() == "200");
  }
  Requester nobody(*ParseAddress("unix:" + (folder.path() / "none").string()), Http::k1);
  CHECK(nobody.Post("x")->Code() == CloseCode::kNeverSent);
}

}  // namespace
}  // namespace torchfleet::net
