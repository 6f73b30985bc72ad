#include <fmt/format.h>

#include "base/status.h"
#include "trainer/data/data_file.h"

namespace torchfleet::trainer {
namespace {

uint32_t BigEndian(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

}  // namespace

absl::StatusOr<Table> ReadIdx(const std::filesystem::path& file) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadDataFile(file));
  const auto wrong = [&](const std::string& message) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", file.string(), message));
  };
  if (bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0) {
    return wrong("is no IDX file; expected it to begin with two zero bytes");
  }
  if (bytes[2] != 8) {
    return wrong(fmt::format("has element type {}; expected 8, unsigned bytes",
                             static_cast<int>(static_cast<unsigned char>(bytes[2]))));
  }
  const auto rank = static_cast<size_t>(static_cast<unsigned char>(bytes[3]));
  const size_t header = 4 + 4 * rank;
  if (rank == 0 || bytes.size() < header) {
    return wrong(fmt::format("is cut short: {} bytes do not hold the header of rank {}",
                             bytes.size(), rank));
  }
  Table table;
  size_t count = 1;
  for (size_t i = 0; i < rank; ++i) {
    const size_t size = BigEndian(bytes, 4 + 4 * i);
    if (__builtin_mul_overflow(count, size, &count)) return wrong("says sizes beyond all memory");
    table.shape.push_back(size);
  }
  if (bytes.size() - header != count) {
    const size_t record = table.shape[0] == 0 ? 0 : count / table.shape[0];
    return wrong(
        fmt::format("its header says {} values, {} are there{}", count, bytes.size() - header,
                    record > 0 && bytes.size() - header < count
                        ? fmt::format("; it ends in record {}", (bytes.size() - header) / record)
                        : ""));
  }
  table.values.reserve(count);
  for (size_t i = header; i < bytes.size(); ++i) {
    table.values.push_back(static_cast<unsigned char>(bytes[i]));
  }
  return table;
}

}  // namespace torchfleet::trainer
