#include "model-worker/load/model_digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "base/status.h"

namespace torchfleet::worker {
namespace {

constexpr char kPin[] = "MODEL_SHA256";
constexpr size_t kPiece = 256 << 10;

bool IsDigest(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), absl::ascii_isxdigit);
}

}  // namespace

absl::StatusOr<std::string> Sha256(const ByteSource& bytes) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  bool computed = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  std::string piece(kPiece, '\0');
  for (uint64_t offset = 0; offset < bytes.size() && computed;) {
    const auto count = static_cast<size_t>(std::min<uint64_t>(kPiece, bytes.size() - offset));
    RETURN_IF_ERROR(bytes.Read(offset, count, piece.data()));
    computed = EVP_DigestUpdate(context.get(), piece.data(), count) == 1;
    offset += count;
  }
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned length = 0;
  if (!computed ||
      EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digest.data()), &length) !=
          1) {
    return absl::InternalError("OpenSSL gives no SHA-256");
  }
  digest.resize(length);
  return absl::BytesToHexString(digest);
}

absl::Status CheckDigest(const ByteSource& file, const ModelSpec& spec) {
  const auto pin = spec.parameters.find(kPin);
  if (pin == spec.parameters.end()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string digest, Sha256(file));
  if (!IsDigest(pin->second)) {
    return absl::FailedPreconditionError(
        fmt::format("{} in config.pbtxt is '{}'; expected 64 hex digits (the file's SHA-256 is {})",
                    kPin, Clip(pin->second, 80), digest));
  }
  if (absl::AsciiStrToLower(pin->second) == digest) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("its SHA-256 is {}; expected {}, which {} in config.pbtxt pins", digest,
                  absl::AsciiStrToLower(pin->second), kPin));
}

}  // namespace torchfleet::worker
