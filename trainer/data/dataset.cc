#include "trainer/data/dataset.h"

#include <fmt/format.h>

#include <cmath>

#include "base/status.h"
#include "trainer/data/data_file.h"

namespace torchfleet::trainer {
namespace {

size_t RecordSize(const Table& table) {
  return table.shape[0] == 0 ? 0 : table.values.size() / table.shape[0];
}

// Two files, a record of one belonging to the record of the same number of the
// other.
absl::StatusOr<Dataset> Join(Table inputs, const std::filesystem::path& inputs_file, Table targets,
                             const std::filesystem::path& targets_file) {
  if (inputs.shape[0] != targets.shape[0]) {
    return absl::InvalidArgumentError(fmt::format("{} holds {} records, {} holds {}",
                                                  inputs_file.string(), inputs.shape[0],
                                                  targets_file.string(), targets.shape[0]));
  }
  Dataset data;
  data.records = inputs.shape[0];
  data.input_size = RecordSize(inputs);
  data.target_size = RecordSize(targets);
  data.inputs = std::move(inputs.values);
  data.targets = std::move(targets.values);
  data.files = {inputs_file, targets_file};
  return data;
}

absl::StatusOr<Dataset> Load(const IdxSource& source) {
  ASSIGN_OR_RETURN(Table images, ReadIdx(source.images));
  ASSIGN_OR_RETURN(Table labels, ReadIdx(source.labels));
  return Join(std::move(images), source.images, std::move(labels), source.labels);
}

absl::StatusOr<Dataset> Load(const NpySource& source) {
  ASSIGN_OR_RETURN(Table inputs, ReadNpy(source.inputs));
  ASSIGN_OR_RETURN(Table targets, ReadNpy(source.targets));
  return Join(std::move(inputs), source.inputs, std::move(targets), source.targets);
}

absl::StatusOr<Dataset> Load(const CsvSource& source) {
  ASSIGN_OR_RETURN(const Table table, ReadCsv(source.file, source.header));
  const size_t columns = table.shape[1];
  if (table.shape[0] > 0 && columns <= source.target_columns) {
    return absl::InvalidArgumentError(
        fmt::format("{} has {} columns; expected inputs beside the {} target columns",
                    source.file.string(), columns, source.target_columns));
  }
  Dataset data;
  data.records = table.shape[0];
  data.target_size = source.target_columns;
  data.input_size = data.records == 0 ? 0 : columns - source.target_columns;
  data.files = {source.file};
  for (size_t record = 0; record < data.records; ++record) {
    const auto begin = table.values.begin() + static_cast<std::ptrdiff_t>(record * columns);
    const auto split = begin + static_cast<std::ptrdiff_t>(data.input_size);
    data.inputs.insert(data.inputs.end(), begin, split);
    data.targets.insert(data.targets.end(), split, begin + static_cast<std::ptrdiff_t>(columns));
  }
  return data;
}

absl::Status CheckFinite(const std::filesystem::path& file, const std::vector<float>& values,
                         size_t record_size) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return absl::InvalidArgumentError(
          fmt::format("{}: record {} holds {}; expected finite numbers", file.string(),
                      i / record_size, values[i]));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Dataset> LoadDataset(const DataSpec& spec) {
  ASSIGN_OR_RETURN(Dataset data,
                   std::visit([](const auto& source) { return Load(source); }, spec.source));
  if (data.records == 0) {
    return absl::InvalidArgumentError(
        fmt::format("{} holds no record; expected at least one", data.files[0].string()));
  }
  RETURN_IF_ERROR(CheckFinite(data.files.front(), data.inputs, data.input_size));
  RETURN_IF_ERROR(CheckFinite(data.files.back(), data.targets, data.target_size));
  for (float& value : data.inputs) value *= static_cast<float>(spec.scale);
  return data;
}

absl::Status CheckDataset(const Dataset& data, size_t input_size, size_t output_size,
                          size_t classes) {
  if (data.input_size != input_size) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a record has {} values; the spec's input_shape takes {}",
                    data.files.front().string(), data.input_size, input_size));
  }
  const std::string targets = data.files.back().string();
  if (classes == 0) {
    if (data.target_size == output_size) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("{}: a target has {} values; the network gives {}", targets, data.target_size,
                    output_size));
  }
  if (data.target_size != 1) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a label has {} values; expected one", targets, data.target_size));
  }
  for (size_t record = 0; record < data.records; ++record) {
    const float label = data.targets[record];
    if (label < 0 || label >= static_cast<float>(classes) || label != std::floor(label)) {
      return absl::InvalidArgumentError(
          fmt::format("{}: record {} has the label {}; the network gives classes 0 to {}", targets,
                      record, label, classes - 1));
    }
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::trainer
