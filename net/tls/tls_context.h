#pragma once
// What is the same for all TLS connections of a server or of a client: the
// certificate and its key, and whom it trusts.
//
// TLS 1.2 and 1.3, ciphers with forward secrecy and AEAD only, no renegotiation
// and no compression; a server takes HTTP/2 before HTTP/1.1. Sessions are resumed
// by tickets.
//
// Immutable, thread-safe; connections keep what they need of it.

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace torchfleet::net {

// Paths of PEM files.
struct TlsFiles {
  // With the chain that leads to the root, the own one first.
  std::string certificate;
  std::string key;
  // Not empty: clients show a certificate that one of these has signed.
  std::string client_ca;
};

class TlsContext {
 public:
  // INVALID_ARGUMENT names the file and says what is wrong with it. A
  // certificate that has expired is used, with a warning in the log.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> ForServer(const TlsFiles& files);
  // `ca`: who may have signed the server's certificate. `certificate` and `key`
  // are for servers that ask, and may be empty.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> ForClient(
      const std::string& ca, const std::string& certificate = "", const std::string& key = "");

  ~TlsContext() { SSL_CTX_free(context_); }
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  SSL_CTX* get() const { return context_; }

 private:
  explicit TlsContext(const SSL_METHOD* method);
  absl::Status UsePair(const std::string& certificate, const std::string& key);

  SSL_CTX* const context_;
};

}  // namespace torchfleet::net
