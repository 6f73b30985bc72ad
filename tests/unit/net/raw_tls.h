#pragma once
// A TLS client and a server on OpenSSL alone.

#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "net/server/server.h"
#include "net/socket/address.h"
#include "net/tls/tls_context.h"

namespace torchfleet::net {

// A blocking client that may do what ours would not.
class RawTls {
 public:
  // `prepare` may change what it offers; `resumed` is a session of before.
  template <typename Prepare>
  RawTls(const Server& server, const Prepare& prepare, SSL_SESSION* resumed = nullptr) {
    const Address address = *ParseAddress(server.address());
    fd_ = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.size) == 0);
    prepare(context_);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    if (resumed) SSL_set_session(ssl_, resumed);
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~RawTls() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    close(fd_);
  }
  bool connected() const { return connected_; }
  SSL* ssl() { return ssl_; }
  std::string Protocol() {
    const unsigned char* protocol;
    unsigned int size;
    SSL_get0_alpn_selected(ssl_, &protocol, &size);
    return {reinterpret_cast<const char*>(protocol), size};
  }
  std::string Name() {
    char name[100] = "";
    X509* const certificate = SSL_get1_peer_certificate(ssl_);
    REQUIRE(certificate);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof name);
    X509_free(certificate);
    return name;
  }

 private:
  int fd_ = -1;
  SSL_CTX* const context_ = SSL_CTX_new(TLS_client_method());
  SSL* ssl_ = nullptr;
  bool connected_ = false;
};

inline const auto kNothing = [](SSL_CTX*) {};

// A blocking server of one connection that takes any protocol it is offered, and
// says that it takes none.
class RawTlsServer {
 public:
  explicit RawTlsServer(const TlsFiles& files) {
    signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to clients that have gone
    const Address any = *ParseAddress("127.0.0.1:0");
    REQUIRE(bind(listener_, reinterpret_cast<const sockaddr*>(&any.storage), any.size) == 0);
    REQUIRE(listen(listener_, 1) == 0);
    SSL_CTX_use_certificate_chain_file(context_, files.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context_, files.key.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_set_alpn_select_cb(
        context_,
        [](SSL*, const unsigned char**, unsigned char*, const unsigned char* offered,
           unsigned int size, void* self) {
          static_cast<RawTlsServer*>(self)->offered_.assign(reinterpret_cast<const char*>(offered),
                                                            size);
          return SSL_TLSEXT_ERR_NOACK;
        },
        this);
  }
  ~RawTlsServer() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    if (fd_ >= 0) close(fd_);
    close(listener_);
  }
  Address address() const { return BoundAddress(listener_); }
  // Waits for the client's handshake.
  bool Accept() {
    fd_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    return SSL_accept(ssl_) == 1;
  }
  // As ALPN writes them.
  const std::string& offered() const { return offered_; }
  // The next bytes that come; empty at the end.
  std::string Read() {
    char room[4096];
    const int count = SSL_read(ssl_, room, sizeof room);
    return {room, static_cast<size_t>(std::max(count, 0))};
  }
  void Write(const std::string& bytes) {
    SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
  }

 private:
  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int fd_ = -1;
  SSL_CTX* const context_ = SSL_CTX_new(TLS_server_method());
  SSL* ssl_ = nullptr;
  std::string offered_;
};

}  // namespace torchfleet::net
