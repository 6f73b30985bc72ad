#include "cli/infer/png_image.h"

#include <fmt/format.h>
#include <png.h>

#include <cstring>

namespace torchfleet::cli {
namespace {

struct Pixels {
  int64_t width = 0, height = 0, channels = 1;
  std::vector<unsigned char> values;  // row by row, channels together
};

absl::StatusOr<Pixels> ReadPng(const std::filesystem::path& file, int64_t channels) {
  png_image image;
  std::memset(&image, 0, sizeof(image));
  image.version = PNG_IMAGE_VERSION;
  const auto wrong = [&] {
    return absl::InvalidArgumentError(
        fmt::format("{} cannot be read as PNG: {}", file.string(), image.message));
  };
  if (!png_image_begin_read_from_file(&image, file.c_str())) return wrong();
  constexpr uint64_t kMaxPixels = 64 << 20;
  if (uint64_t{image.width} * image.height > kMaxPixels) {
    png_image_free(&image);
    return absl::InvalidArgumentError(
        fmt::format("{} has more than 64 million pixels", file.string()));
  }
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  Pixels pixels{image.width, image.height, channels,
                std::vector<unsigned char>(PNG_IMAGE_SIZE(image))};
  const png_color black = {0, 0, 0};
  if (!png_image_finish_read(&image, &black, pixels.values.data(), 0, nullptr)) return wrong();
  return pixels;
}

}  // namespace

absl::StatusOr<Tensor> TensorFromPng(const std::filesystem::path& file, const InputSpec& spec) {
  if (spec.type != wire::DataType::kFp32 && spec.type != wire::DataType::kUint8) {
    return absl::InvalidArgumentError(fmt::format("input '{}' is {}; an image can be FP32 or UINT8",
                                                  spec.name, wire::DataTypeName(spec.type)));
  }
  // The record: the shape without the batch, the dimensions that vary left out.
  std::vector<int64_t> record(spec.shape.begin() + (spec.shape.empty() ? 0 : 1), spec.shape.end());
  const bool planes_first = record.size() == 3 && record[0] == 3;
  const bool rgb = planes_first || (record.size() == 3 && record[2] == 3);
  auto pixels = ReadPng(file, rgb ? 3 : 1);
  if (!pixels.ok()) return pixels.status();
  int64_t wanted = 1;
  for (const int64_t size : record) wanted *= size;
  if (static_cast<size_t>(wanted) != pixels->values.size() || wanted < 1) {
    return absl::InvalidArgumentError(
        fmt::format("{} is {} × {} pixels; input '{}' takes {} values of shape [{}]", file.string(),
                    pixels->width, pixels->height, spec.name, wanted, fmt::join(record, ",")));
  }
  Tensor tensor;
  tensor.shape = {1};
  tensor.shape.insert(tensor.shape.end(), record.begin(), record.end());
  const size_t plane = pixels->values.size() / static_cast<size_t>(pixels->channels);
  for (size_t i = 0; i < pixels->values.size(); ++i) {
    const unsigned char value =
        planes_first ? pixels->values[i % plane * 3 + i / plane] : pixels->values[i];
    if (spec.type == wire::DataType::kUint8) {
      tensor.bytes.push_back(static_cast<char>(value));
    } else {
      const float scaled = static_cast<float>(value) / 255.0F;
      tensor.bytes.append(reinterpret_cast<const char*>(&scaled), sizeof(scaled));
    }
  }
  return tensor;
}

}  // namespace torchfleet::cli
