// TLS as peers meet it.

#include <catch2/catch_test_macros.hpp>
#include <optional>

#include "net/tls/tls_stream.h"
#include "tests/unit/net/caller.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/raw_peer.h"
#include "tests/unit/net/raw_tls.h"

namespace torchfleet::net {
namespace {

std::unique_ptr<Server> TlsEchoServer(TlsFiles files, Http2Options http2 = {}) {
  ServerOptions options;
  options.http2 = http2;
  options.tls = std::move(files);
  return EchoServer(std::move(options));
}

Channel::Options Trusting(const TestAuthority& authority) {
  Channel::Options options;
  options.tls = *TlsContext::ForClient(authority.ca());
  return options;
}

Address AddressOf(const Server& server) { return *ParseAddress(server.address()); }

TEST_CASE("TLS: our client hears our server", "[net][tls]") {
  TestAuthority authority;
  const auto server = TlsEchoServer(authority.Issue("server"));
  Caller caller(AddressOf(*server), Trusting(authority));
  for (const size_t size : {1, 100, 16 << 10, 1 << 20, 5 << 20}) {
    CAPTURE(size);
    std::string message(size, 'm');
    for (size_t i = 0; i < size; i += 997) message[i] = static_cast<char>(i);
    const auto call = caller.Begin(message);
    REQUIRE(call->Outcome().status.ok());
    CHECK(call->messages == std::vector<std::string>{message});
  }
}

TEST_CASE("TLS: large calls side by side keep their bytes", "[net][tls]") {
  TestAuthority authority;
  const auto server = TlsEchoServer(authority.Issue("server"));
  auto options = Trusting(authority);
  options.connections = 2;
  Caller caller(AddressOf(*server), options);
  std::vector<std::unique_ptr<Caller::Call>> calls;
  for (int i = 0; i < 16; ++i) {
    calls.push_back(caller.Begin(std::string(1 << 20, static_cast<char>('a' + i))));
  }
  for (int i = 0; i < 16; ++i) {
    const auto& call = calls[static_cast<size_t>(i)];
    REQUIRE(call->Outcome().status.ok());
    CHECK(call->messages[0] == std::string(1 << 20, static_cast<char>('a' + i)));
  }
}

TEST_CASE("TLS: many connections at once", "[net][tls]") {
  TestAuthority authority;
  const auto server = TlsEchoServer(authority.Issue("server"));
  std::vector<std::unique_ptr<Caller>> callers;
  std::vector<std::unique_ptr<Caller::Call>> calls;
  for (int i = 0; i < 50; ++i) {
    callers.push_back(std::make_unique<Caller>(AddressOf(*server), Trusting(authority)));
    calls.push_back(callers.back()->Begin(std::to_string(i)));
  }
  for (size_t i = 0; i < 50; ++i) {
    REQUIRE(calls[i]->Outcome().status.ok());
    CHECK(calls[i]->messages[0] == std::to_string(i));
  }
}

TEST_CASE("TLS: HTTP/2 is preferred, and what is not HTTP is refused", "[net][tls]") {
  TestAuthority authority;
  const auto server = TlsEchoServer(authority.Issue("server"));
  const auto offering = [&](const std::string& protocols) {
    RawTls peer(*server, [&](SSL_CTX* context) {
      SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(protocols.data()),
                              static_cast<unsigned int>(protocols.size()));
    });
    return peer.connected() ? peer.Protocol() : "refused";
  };
  CHECK(offering("\x08http/1.1\x02h2") == "h2");
  CHECK(offering("\x08http/1.1") == "http/1.1");
  CHECK(offering("\x04smtp") == "refused");
  CHECK(RawTls(*server, kNothing).Protocol().empty());
}

TEST_CASE("TLS: 1.2 is the oldest there is", "[net][tls]") {
  TestAuthority authority;
  const auto server = TlsEchoServer(authority.Issue("server"));
  const auto at_most = [&](int version) {
    return RawTls(*server,
                  [&](SSL_CTX* context) {
                    SSL_CTX_set_security_level(context, 0);
                    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
                    SSL_CTX_set_max_proto_version(context, version);
                  })
        .connected();
  };
  CHECK(!at_most(TLS1_VERSION));
  CHECK(!at_most(TLS1_1_VERSION));
  CHECK(at_most(TLS1_2_VERSION));
  CHECK(at_most(TLS1_3_VERSION));
}

TEST_CASE("TLS: sessions are resumed", "[net][tls]") {
  TestAuthority authority;
  const auto server = TlsEchoServer(authority.Issue("server"));
  const auto old = [](SSL_CTX* context) { SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION); };
  RawTls first(*server, old);
  REQUIRE(first.connected());
  SSL_SESSION* const session = SSL_get1_session(first.ssl());
  REQUIRE(SSL_SESSION_has_ticket(session));
  RawTls again(*server, old, session);
  CHECK(again.connected());
  CHECK(SSL_session_reused(again.ssl()) == 1);
  SSL_SESSION_free(session);
}

TEST_CASE("TLS: a client that has to show who it is", "[net][tls]") {
  TestAuthority authority, stranger;
  TlsFiles files = authority.Issue("server");
  files.client_ca = authority.ca();
  const auto server = TlsEchoServer(files);
  const auto outcome = [&](const std::optional<TlsFiles>& own) {
    Channel::Options options;
    options.tls = own ? *TlsContext::ForClient(authority.ca(), own->certificate, own->key)
                      : *TlsContext::ForClient(authority.ca());
    return Caller(AddressOf(*server), options).Begin("x")->Outcome().status.code;
  };
  CHECK(outcome(std::nullopt) == absl::StatusCode::kUnavailable);
  CHECK(outcome(stranger.Issue("client")) == absl::StatusCode::kUnavailable);
  CHECK(outcome(authority.Issue("late", /*expired=*/true)) == absl::StatusCode::kUnavailable);
  CHECK(outcome(authority.Issue("client")) == absl::StatusCode::kOk);
}

TEST_CASE("TLS: our client refuses a server that is not whom it wants", "[net][tls]") {
  TestAuthority authority, stranger;
  const auto outcome = [&](const TlsFiles& files, const std::string& name = "") {
    const auto server = TlsEchoServer(files);
    auto options = Trusting(authority);
    options.server_name = name;
    Caller caller(AddressOf(*server), options);
    const auto call = caller.Begin("x");
    CHECK((call->Outcome().status.ok() || call->Outcome().never_processed));
    return call->Outcome().status.code;
  };
  CHECK(outcome(authority.Issue("right")) == absl::StatusCode::kOk);
  CHECK(outcome(authority.Issue("right"), "localhost") == absl::StatusCode::kOk);
  CHECK(outcome(authority.Issue("right"), "elsewhere") == absl::StatusCode::kUnavailable);
  CHECK(outcome(authority.Issue("late", /*expired=*/true)) == absl::StatusCode::kUnavailable);
  CHECK(outcome(stranger.Issue("stranger")) == absl::StatusCode::kUnavailable);
}

TEST_CASE("TLS: files that cannot be used are named", "[net][tls]") {
  TestAuthority authority;
  const TlsFiles right = authority.Issue("server"), other = authority.Issue("other");
  authority.folder().Write("text", "no PEM");
  const auto said = [](const TlsFiles& files) {
    ServerOptions options;
    options.tls = files;
    const auto server = Server::Start(options, [](Loop&) { return nullptr; });
    REQUIRE(!server.ok());
    CHECK(absl::IsInvalidArgument(server.status()));
    return std::string(server.status().message());
  };
  CHECK(said({authority.Path("none"), right.key, ""}) == "cannot read the certificate file '" +
                                                             authority.Path("none") +
                                                             "': No such file or directory");
  CHECK(said({right.certificate, authority.Path("none"), ""}).starts_with("cannot read the key"));
  CHECK(said({authority.Path("text"), right.key, ""}).starts_with("the certificate file '"));
  CHECK(said({right.certificate, authority.Path("text"), ""}).starts_with("the key file '"));
  CHECK(said({right.certificate, right.key, authority.Path("text")})
            .starts_with("the client CA file '"));
  CHECK(said({right.certificate, other.key, ""}) ==
        "the key in '" + other.key + "' does not belong to the certificate in '" +
            right.certificate + "'");
}

TEST_CASE("TLS: who does not speak it loses its connection, nobody else", "[net][tls]") {
  TestAuthority authority;
  const auto server = TlsEchoServer(authority.Issue("server"));
  Caller caller(AddressOf(*server), Trusting(authority));
  CHECK(caller.Begin("before")->Outcome().status.ok());
  RawPeer plain(*server);  // HTTP/2 without TLS; the alert that it gets is no frame
  CHECK(!plain.NextOf(kSettingsFrame));
  RawPeer noise(*server, /*hello=*/false);
  noise.Write(std::string(100'000, '\x16'));
  CHECK(!noise.NextOf(kSettingsFrame));
  CHECK(caller.Begin("after")->Outcome().status.ok());
}

TEST_CASE("TLS: a handshake that stops is not waited for", "[net][tls]") {
  TestAuthority authority;
  Http2Options options;
  options.times.headers = absl::Milliseconds(100);
  const auto server = TlsEchoServer(authority.Issue("server"), options);
  RawPeer silent(*server, /*hello=*/false);
  CHECK(silent.Ends());
  RawPeer half(*server, /*hello=*/false);
  half.Write(std::string("\x16\x03\x01\x02\x00\x01\x00", 7));  // the head of a ClientHello
  CHECK(half.Ends());
}

TEST_CASE("TLS: a client gives up on a server that does not answer its hello", "[net][tls]") {
  TestAuthority authority;
  RawListener listener;
  auto options = Trusting(authority);
  options.http2.times.headers = absl::Milliseconds(100);
  Caller caller(listener.address(), options);
  const auto call = caller.Begin("x");
  CHECK(call->Outcome().status.code == absl::StatusCode::kUnavailable);
  CHECK(call->Outcome().never_processed);
}

TEST_CASE("TLS: connections closed inside the handshake", "[net][tls]") {
  TestAuthority authority;
  const auto server = TlsEchoServer(authority.Issue("server"));
  for (size_t bytes = 0; bytes < 8; ++bytes) {
    RawPeer peer(*server, /*hello=*/false);
    peer.Write(std::string("\x16\x03\x01\x02\x00\x01\x00", 7).substr(0, bytes));
  }
  std::unique_ptr<Caller::Call> left;  // its channel ends it
  {
    Caller leaves(AddressOf(*server), Trusting(authority));
    left = leaves.Begin("x");
  }
  Caller caller(AddressOf(*server), Trusting(authority));
  CHECK(caller.Begin("x")->Outcome().status.ok());
}

TEST_CASE("TLS: a drained server says goodbye", "[net][tls]") {
  TestAuthority authority;
  const auto server = TlsEchoServer(authority.Issue("server"));
  RawTls idle(*server, [](SSL_CTX* context) {
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>("\x02h2"), 3);
  });
  REQUIRE(idle.connected());
  server->Drain(absl::Seconds(20));
  char bytes[1000];
  int last;
  for (int i = 0; i < 100 && (last = SSL_read(idle.ssl(), bytes, sizeof bytes)) > 0; ++i) {
  }
  CHECK(SSL_get_error(idle.ssl(), last) == SSL_ERROR_ZERO_RETURN);
}

}  // namespace
}  // namespace torchfleet::net
