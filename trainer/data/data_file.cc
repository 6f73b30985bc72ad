#include "trainer/data/data_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace torchfleet::trainer {

absl::StatusOr<std::string> ReadDataFile(const std::filesystem::path& file) {
  constexpr size_t kLimit = size_t{8} << 30;
  // zlib hands on what is not gzipped as it is.
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> stream(gzopen(file.c_str(), "rb"), gzclose);
  if (!stream) {
    return absl::NotFoundError(
        fmt::format("{} cannot be read: {}", file.string(), std::strerror(errno)));
  }
  std::string bytes;
  std::vector<char> buffer(1 << 20);
  while (true) {
    const int count = gzread(stream.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
    if (count > 0) bytes.append(buffer.data(), static_cast<size_t>(count));
    if (bytes.size() > kLimit) {
      return absl::InvalidArgumentError(
          fmt::format("{} unpacks to more than 8 GiB; split it", file.string()));
    }
    if (count > 0) continue;
    int error = Z_OK;
    const char* text = gzerror(stream.get(), &error);
    if (count == 0 && (error == Z_OK || error == Z_STREAM_END)) return bytes;
    return absl::InvalidArgumentError(
        fmt::format("{} is damaged or cut short: {}", file.string(),
                    error == Z_BUF_ERROR ? "the archive ends too early" : text));
  }
}

}  // namespace torchfleet::trainer
