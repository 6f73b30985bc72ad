#pragma once
// A TLS client on OpenSSL alone.

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "net/server/server.h"
#include "net/socket/address.h"

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

}  // namespace torchfleet::net
