#pragma once
// A data file's bytes, gzipped or not, and the formats they may have.

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace torchfleet::trainer {

// Whole, unpacked when it is gzipped. NOT_FOUND, or INVALID_ARGUMENT for a
// damaged archive; at most 8 GiB.
absl::StatusOr<std::string> ReadDataFile(const std::filesystem::path& file);

// Numbers with a shape; the first dimension counts records.
struct Table {
  std::vector<size_t> shape;
  std::vector<float> values;
};

// IDX with unsigned bytes, the format of MNIST. Source: the description on the
// MNIST database's page: two zeros, type 8, rank, big-endian sizes, data.
absl::StatusOr<Table> ReadIdx(const std::filesystem::path& file);

// NumPy's .npy, versions 1 to 3, little-endian numbers, C order. Source: NumPy
// enhancement proposal 1.
absl::StatusOr<Table> ReadNpy(const std::filesystem::path& file);

// Numbers separated by commas, as many on each line.
absl::StatusOr<Table> ReadCsv(const std::filesystem::path& file, bool header);

}  // namespace torchfleet::trainer
