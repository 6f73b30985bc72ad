#include "net/tls/certificate_watch.h"

#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace torchfleet::net {
namespace {

constexpr absl::Duration kBetweenLooks = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::unique_ptr<CertificateWatch>> CertificateWatch::Open(TlsFiles files) {
  // Looked at before they are read: what changes meanwhile is read again.
  const Looks seen = LookAtAll(files);
  ASSIGN_OR_RETURN(std::shared_ptr<const TlsContext> context, TlsContext::ForServer(files));
  return std::unique_ptr<CertificateWatch>(
      new CertificateWatch(std::move(files), seen, std::move(context)));
}

std::shared_ptr<const TlsContext> CertificateWatch::Current(Instant now) {
  const std::lock_guard lock(mu_);
  if (looked_ != Instant() && now - looked_ < kBetweenLooks) return context_;
  looked_ = now;
  const Looks seen = LookAtAll(files_);
  if (seen == seen_) return context_;
  auto context = TlsContext::ForServer(files_);
  if (context.ok()) {
    context_ = *std::move(context);
    seen_ = seen;
    complaint_.clear();
    LogInfo("new connections get the new certificate", {{"file", files_.certificate}});
  } else if (complaint_ != context.status().message()) {
    complaint_ = std::string(context.status().message());
    LogError("the changed certificate files cannot be used; the old certificate stays",
             {{"reason", complaint_}});
  }
  return context_;
}

CertificateWatch::Look CertificateWatch::LookAt(const std::string& file) {
  struct stat found;
  if (file.empty() || stat(file.c_str(), &found) != 0) return {};
  return {.device = found.st_dev,
          .inode = found.st_ino,
          .size = found.st_size,
          .changed = found.st_mtim.tv_sec * int64_t{1'000'000'000} + found.st_mtim.tv_nsec};
}

CertificateWatch::Looks CertificateWatch::LookAtAll(const TlsFiles& files) {
  return {LookAt(files.certificate), LookAt(files.key), LookAt(files.client_ca)};
}

}  // namespace torchfleet::net
