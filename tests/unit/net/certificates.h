#pragma once
// Certificates for tests, made when they are needed.

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <filesystem>
#include <string>

#include "net/tls/tls_context.h"
#include "tests/fakes/temporary_folder.h"

namespace torchfleet::net {

// An authority and what it has signed, in a folder that goes with it.
class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();

  std::string ca() const { return Path("ca.pem"); }
  std::string Path(const std::string& name) const { return (folder_.path() / name).string(); }
  const TemporaryFolder& folder() const { return folder_; }

  // NAME.pem and NAME.key, for localhost and 127.0.0.1; what was there is
  // replaced at once, as a rotation does. `expired`: an hour ago.
  TlsFiles Issue(const std::string& name, bool expired = false);

 private:
  const TemporaryFolder folder_;
  EVP_PKEY* const key_;
  X509* const certificate_;
};

}  // namespace torchfleet::net
