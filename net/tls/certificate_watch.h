#pragma once
// A server's TlsContext, made anew when its files change.
//
// Files are looked at when somebody asks, at most once a second; what a path
// leads to counts, so swapped symbolic links (Kubernetes) are changes as well.
// Files that cannot be used, or a key that does not belong to its certificate
// yet, leave the context as it was, and are logged once.
//
// Thread-safe.

#include <sys/stat.h>

#include <array>
#include <memory>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "net/tls/tls_context.h"

namespace torchfleet::net {

class CertificateWatch {
 public:
  // Errors as TlsContext::ForServer has them.
  static absl::StatusOr<std::unique_ptr<CertificateWatch>> Open(TlsFiles files);

  // For a connection that is made now.
  std::shared_ptr<const TlsContext> Current(Instant now);

 private:
  // What changes with a file; of one that is not there, zeros.
  struct Look {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    int64_t changed = 0;  // nanoseconds
    bool operator==(const Look&) const = default;
  };
  using Looks = std::array<Look, 3>;

  CertificateWatch(TlsFiles files, const Looks& seen, std::shared_ptr<const TlsContext> context)
      : files_(std::move(files)), seen_(seen), context_(std::move(context)) {}
  static Look LookAt(const std::string& file);
  static Looks LookAtAll(const TlsFiles& files);

  const TlsFiles files_;
  std::mutex mu_;
  // Of the files that context_ was made from.
  Looks seen_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const TlsContext> context_ ABSL_GUARDED_BY(mu_);
  Instant looked_ ABSL_GUARDED_BY(mu_);
  std::string complaint_ ABSL_GUARDED_BY(mu_);  // the last one logged
};

}  // namespace torchfleet::net
