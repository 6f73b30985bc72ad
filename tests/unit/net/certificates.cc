#include "tests/unit/net/certificates.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace torchfleet::net {
namespace {

constexpr long kHour = 3600;

// Unsigned; valid for two hours around `middle`, seconds from now.
X509* Certificate(const std::string& name, EVP_PKEY* key, long middle) {
  static long serial = 0;
  X509* const made = X509_new();
  X509_set_version(made, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(made), middle - kHour);
  X509_gmtime_adj(X509_getm_notAfter(made), middle + kHour);
  X509_set_pubkey(made, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return made;
}

void Extend(X509* certificate, int kind, const char* value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

template <typename Writer>
void WriteFile(const TemporaryFolder& folder, const std::string& name, const Writer& writer) {
  BIO* const bio = BIO_new(BIO_s_mem());
  writer(bio);
  char* bytes;
  const long size = BIO_get_mem_data(bio, &bytes);
  folder.Write(name + ".new", {bytes, static_cast<size_t>(size)});
  std::filesystem::rename(folder.path() / (name + ".new"), folder.path() / name);
  BIO_free(bio);
}

}  // namespace

TestAuthority::TestAuthority()
    : key_(EVP_EC_gen("P-256")), certificate_(Certificate("test authority", key_, 0)) {
  X509_set_issuer_name(certificate_, X509_get_subject_name(certificate_));
  Extend(certificate_, NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(certificate_, key_, EVP_sha256());
  WriteFile(folder_, "ca.pem", [this](BIO* bio) { PEM_write_bio_X509(bio, certificate_); });
}

TestAuthority::~TestAuthority() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

TlsFiles TestAuthority::Issue(const std::string& name, bool expired) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const made = Certificate(name, key, expired ? -2 * kHour : 0);
  X509_set_issuer_name(made, X509_get_subject_name(certificate_));
  Extend(made, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  X509_sign(made, key_, EVP_sha256());
  WriteFile(folder_, name + ".pem", [&](BIO* bio) { PEM_write_bio_X509(bio, made); });
  WriteFile(folder_, name + ".key", [&](BIO* bio) {
    PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  X509_free(made);
  EVP_PKEY_free(key);
  return {.certificate = Path(name + ".pem"), .key = Path(name + ".key"), .client_ca = ""};
}

}  // namespace torchfleet::net
