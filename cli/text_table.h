#pragma once
// Text in columns, for people. Pure.

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace torchfleet::cli {

using TableRows = std::vector<std::vector<std::string>>;
// A terminal's colour for a cell, or 0 for none.
using CellColour = std::function<int(size_t row, size_t column)>;

// `rows`: the first has the heads, all are as long as it.
std::string AsTable(const TableRows& rows, const CellColour& colour = nullptr);

}  // namespace torchfleet::cli
