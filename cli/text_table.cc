#include "cli/text_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace torchfleet::cli {

std::string AsTable(const TableRows& rows, const CellColour& colour) {
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < rows[r].size(); ++i) {
      const std::string cell = fmt::format("{:<{}}", rows[r][i], widths[i]);
      const int number = colour ? colour(r, i) : 0;
      line += number ? fmt::format("\033[{}m{}\033[0m  ", number, cell) : cell + "  ";
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace torchfleet::cli
