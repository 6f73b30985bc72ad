#include "tests/fuzz/small_check.h"

#include <cstdint>

#include "base/npy.h"
#include "cli/load/arrivals.h"

namespace torchfleet {
namespace {

std::string NpyFault(std::string_view bytes) {
  const auto array = ParseNpy(bytes);
  if (!array.ok()) return array.status().message().size() <= 512 ? "" : "an error is too long";
  if (array->data.data() + array->data.size() != bytes.data() + bytes.size()) {
    return "the elements are not the file's last bytes";
  }
  size_t size = static_cast<size_t>(array->descr.back() - '0');
  for (const int64_t dimension : array->shape) {
    if (dimension < 0) return "a dimension is negative";
    size *= static_cast<size_t>(dimension);
  }
  return size == array->data.size() ? "" : "the elements do not fit the shape";
}

std::string ArrivalsFault(std::string_view text) {
  const auto times = cli::ParseArrivals(text);
  if (!times.ok()) return times.status().message().size() <= 512 ? "" : "an error is too long";
  if (times->empty()) return "no times were taken";
  absl::Duration last;
  for (const absl::Duration time : *times) {
    if (time < last) return "times go back";
    last = time;
  }
  // Every one was a line.
  size_t lines = 1;
  for (const char c : text) lines += c == '\n' ? 1 : 0;
  return times->size() <= lines ? "" : "there are more times than lines";
}

}  // namespace

std::string FileFault(char reader, std::string_view bytes) {
  return reader == 'n' ? NpyFault(bytes) : ArrivalsFault(bytes);
}

std::string SmallFault(std::string_view input) {
  if (input.empty()) return "";
  const char reader = input[0];
  input.remove_prefix(1);
  switch (reader) {
    case 'm':
    case 'h':
    case 't':
    case 's':
    case 'i':
      return GrpcFault(reader, input);
    case 'b':
    case 'w':
    case 'W':
      return WebFault(reader, input);
    case 'n':
    case 'a':
      return FileFault(reader, input);
    default:
      return "";
  }
}

}  // namespace torchfleet
