#include "net/tls/tls_context.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "base/status.h"

namespace torchfleet::net {
namespace {

// As ALPN writes them, the preferred one first.
constexpr unsigned char kProtocols[] = "\x02h2\x08http/1.1";
constexpr unsigned int kProtocolsSize = sizeof kProtocols - 1;
constexpr unsigned char kSessionGroup[] = "torchfleet";

// The newest error of OpenSSL in this thread; its queue is empty then.
std::string Reason() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason ? reason : "unknown error";
}

// OpenSSL's own words for a file that cannot be opened say little.
absl::Status CheckReadable(const char* what, const std::string& file) {
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (stream && stream.peek() != std::ifstream::traits_type::eof()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("cannot read the {} file '{}': {}", what, file,
                                                errno ? std::strerror(errno) : "it is empty"));
}

absl::Status Useless(const char* what, const std::string& file) {
  return absl::InvalidArgumentError(fmt::format(
      "the {} file '{}' holds none that can be used: {}; expected PEM", what, file, Reason()));
}

// A client that offers none may still speak HTTP; one that offers others cannot.
int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* size,
                   const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* found;
  if (SSL_select_next_proto(&found, size, kProtocols, kProtocolsSize, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

// Nobody is there to be asked for the passphrase of a key.
int NoPassphrase(char*, int, int, void*) { return 0; }

}  // namespace

TlsContext::TlsContext(const SSL_METHOD* method) : context_(SSL_CTX_new(method)) {
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context_, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_options(context_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Buffers come and go with the bytes in them: an idle connection has none.
  SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context_, 1);
  SSL_CTX_set_default_passwd_cb(context_, &NoPassphrase);
}

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::ForServer(const TlsFiles& files) {
  const std::shared_ptr<TlsContext> made(new TlsContext(TLS_server_method()));
  RETURN_IF_ERROR(made->UsePair(files.certificate, files.key));
  SSL_CTX* const context = made->context_;
  SSL_CTX_set_alpn_select_cb(context, &ChooseProtocol, nullptr);
  SSL_CTX_set_session_id_context(context, kSessionGroup, sizeof kSessionGroup - 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // clients keep their tickets
  if (files.client_ca.empty()) return made;
  RETURN_IF_ERROR(CheckReadable("client CA", files.client_ca));
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(files.client_ca.c_str());
  if (!names || SSL_CTX_load_verify_file(context, files.client_ca.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return Useless("client CA", files.client_ca);
  }
  SSL_CTX_set_client_CA_list(context, names);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return made;
}

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::ForClient(
    const std::string& ca, const std::string& certificate, const std::string& key) {
  const std::shared_ptr<TlsContext> made(new TlsContext(TLS_client_method()));
  RETURN_IF_ERROR(CheckReadable("CA", ca));
  if (SSL_CTX_load_verify_file(made->context_, ca.c_str()) != 1) return Useless("CA", ca);
  if (!certificate.empty()) RETURN_IF_ERROR(made->UsePair(certificate, key));
  SSL_CTX_set_verify(made->context_, SSL_VERIFY_PEER, nullptr);
  return made;
}

absl::Status TlsContext::UsePair(const std::string& certificate, const std::string& key) {
  RETURN_IF_ERROR(CheckReadable("certificate", certificate));
  RETURN_IF_ERROR(CheckReadable("key", key));
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context_, certificate.c_str()) != 1) {
    return Useless("certificate", certificate);
  }
  if (SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    if (ERR_GET_REASON(ERR_peek_last_error()) != X509_R_KEY_VALUES_MISMATCH) {
      return Useless("key", key);
    }
    ERR_clear_error();
    return absl::InvalidArgumentError(fmt::format(
        "the key in '{}' does not belong to the certificate in '{}'", key, certificate));
  }
  if (X509_cmp_current_time(X509_get0_notAfter(SSL_CTX_get0_certificate(context_))) < 0) {
    LogWarning("the certificate has expired; peers will refuse it", {{"file", certificate}});
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::net
