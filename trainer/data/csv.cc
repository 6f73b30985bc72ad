#include <fmt/format.h>

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "trainer/data/data_file.h"

namespace torchfleet::trainer {

absl::StatusOr<Table> ReadCsv(const std::filesystem::path& file, bool header) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadDataFile(file));
  Table table{{0, 0}, {}};
  size_t line_number = 0;
  const std::vector<std::string> lines = absl::StrSplit(bytes, '\n');
  for (const std::string& line : lines) {
    ++line_number;
    if ((header && line_number == 1) || line.empty() || line == "\r") continue;
    const auto wrong = [&](const std::string& message) {
      return absl::InvalidArgumentError(
          fmt::format("{}:{}: {}", file.string(), line_number, message));
    };
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    if (table.shape[1] == 0) table.shape[1] = fields.size();
    if (fields.size() != table.shape[1]) {
      return wrong(
          fmt::format("{} columns; the lines before have {}", fields.size(), table.shape[1]));
    }
    for (size_t i = 0; i < fields.size(); ++i) {
      float value = 0;
      // SimpleAtof takes blanks and a carriage return at the ends.
      if (!absl::SimpleAtof(fields[i], &value) || !std::isfinite(value)) {
        return wrong(
            fmt::format("column {} is '{}'; expected a finite number", i + 1, Clip(fields[i])));
      }
      table.values.push_back(value);
    }
    ++table.shape[0];
  }
  return table;
}

}  // namespace torchfleet::trainer
