#include "base/npy.h"

#include <fmt/format.h>

#include <cstring>

#include "base/status.h"
#include "trainer/data/data_file.h"

namespace torchfleet::trainer {
namespace {

template <typename Element>
std::vector<float> Convert(std::string_view data) {
  std::vector<float> values(data.size() / sizeof(Element));
  for (size_t i = 0; i < values.size(); ++i) {
    Element element;
    std::memcpy(&element, data.data() + i * sizeof(Element), sizeof(Element));
    values[i] = static_cast<float>(element);
  }
  return values;
}

}  // namespace

absl::StatusOr<Table> ReadNpy(const std::filesystem::path& file) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadDataFile(file));
  const auto wrong = [&](const std::string& message) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", file.string(), message));
  };
  const auto array = ParseNpy(bytes);
  if (!array.ok()) return wrong(std::string(array.status().message()));
  if (array->shape.empty()) return wrong("holds a single number; expected records");
  Table table;
  for (const int64_t size : array->shape) table.shape.push_back(static_cast<size_t>(size));
  const std::string type = array->descr.substr(1);
  if (type == "f4")
    table.values = Convert<float>(array->data);
  else if (type == "f8")
    table.values = Convert<double>(array->data);
  else if (type == "u1" || type == "b1")
    table.values = Convert<uint8_t>(array->data);
  else if (type == "i1")
    table.values = Convert<int8_t>(array->data);
  else if (type == "u2")
    table.values = Convert<uint16_t>(array->data);
  else if (type == "i2")
    table.values = Convert<int16_t>(array->data);
  else if (type == "u4")
    table.values = Convert<uint32_t>(array->data);
  else if (type == "i4")
    table.values = Convert<int32_t>(array->data);
  else if (type == "u8")
    table.values = Convert<uint64_t>(array->data);
  else if (type == "i8")
    table.values = Convert<int64_t>(array->data);
  else
    return wrong(fmt::format("its elements are '{}'; expected f4, f8 or whole numbers", type));
  return table;
}

}  // namespace torchfleet::trainer
