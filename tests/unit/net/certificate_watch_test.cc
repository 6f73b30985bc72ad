// Certificates that change while they are in use.

#include "net/tls/certificate_watch.h"

#include <openssl/x509.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "tests/unit/net/caller.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/raw_peer.h"
#include "tests/unit/net/raw_tls.h"

namespace torchfleet::net {
namespace {

namespace fs = std::filesystem;

// Looks come a second after each other.
class Looks {
 public:
  explicit Looks(const TlsFiles& files) : watch_(*CertificateWatch::Open(files)) {}
  std::string Next() {
    now_ = now_ + absl::Seconds(1);
    return Now();
  }
  // Who the certificate of a connection made now is for.
  std::string Now() {
    const auto context = watch_->Current(now_);
    char name[100] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_CTX_get0_certificate(context->get())),
                              NID_commonName, name, sizeof name);
    return name;
  }

 private:
  const std::unique_ptr<CertificateWatch> watch_;
  Instant now_ = Instant::FromStart(absl::Seconds(100));
};

// The pair "used" becomes this one.
void Use(const TestAuthority& authority, const TlsFiles& pair) {
  fs::rename(pair.certificate, authority.Path("used.pem"));
  fs::rename(pair.key, authority.Path("used.key"));
}

TEST_CASE("CertificateWatch: a changed pair is used, at the next look", "[net][tls]") {
  TestAuthority authority;
  const TlsFiles used = authority.Issue("used");
  Looks looks(used);
  CHECK(looks.Next() == "used");
  Use(authority, authority.Issue("new"));
  CHECK(looks.Now() == "used");
  CHECK(looks.Next() == "new");
}

TEST_CASE("CertificateWatch: what cannot be used leaves the old pair", "[net][tls]") {
  TestAuthority authority;
  const TlsFiles used = authority.Issue("used");
  Looks looks(used);
  const TlsFiles next = authority.Issue("new");
  fs::rename(next.certificate, used.certificate);  // its key is still to come
  CHECK(looks.Next() == "used");
  CHECK(looks.Next() == "used");
  fs::rename(next.key, used.key);
  CHECK(looks.Next() == "new");
  fs::resize_file(used.certificate, 100);
  CHECK(looks.Next() == "new");
  fs::remove(used.key);
  CHECK(looks.Next() == "new");
  Use(authority, authority.Issue("last"));
  CHECK(looks.Next() == "last");
}

TEST_CASE("CertificateWatch: symbolic links as Kubernetes swaps them", "[net][tls]") {
  TestAuthority authority;
  const auto version = [&](const std::string& name) {
    const TlsFiles pair = authority.Issue(name);
    fs::create_directory(authority.Path("..v" + name));
    fs::rename(pair.certificate, authority.Path("..v" + name + "/tls.crt"));
    fs::rename(pair.key, authority.Path("..v" + name + "/tls.key"));
    fs::create_symlink("..v" + name, authority.Path("..data_tmp"));
    fs::rename(authority.Path("..data_tmp"), authority.Path("..data"));
  };
  version("first");
  fs::create_symlink("..data/tls.crt", authority.Path("tls.crt"));
  fs::create_symlink("..data/tls.key", authority.Path("tls.key"));
  Looks looks({authority.Path("tls.crt"), authority.Path("tls.key"), ""});
  CHECK(looks.Next() == "first");
  version("second");
  CHECK(looks.Next() == "second");
}

TEST_CASE("CertificateWatch: a connection outlives the certificate that it was made with",
          "[net][tls]") {
  TestAuthority authority;
  ServerOptions options;
  options.tls = authority.Issue("used");
  const auto server = EchoServer(options);
  Channel::Options trusting;
  trusting.tls = *TlsContext::ForClient(authority.ca());
  Caller open(*ParseAddress(server->address()), trusting);
  REQUIRE(open.Begin("x")->Outcome().status.ok());
  Use(authority, authority.Issue("new"));
  // The server looks once a second, so the first handshakes come too early.
  bool is_new = false;
  for (int i = 0; i < 100'000 && !is_new; ++i) is_new = RawTls(*server, kNothing).Name() == "new";
  CHECK(is_new);
  CHECK(open.Begin("x")->Outcome().status.ok());
}

}  // namespace
}  // namespace torchfleet::net
