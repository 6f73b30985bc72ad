#include "cli/infer/png_image.h"

#include <png.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <vector>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::cli {
namespace {

std::filesystem::path WritePng(const TemporaryFolder& folder, uint32_t width, uint32_t height,
                               uint32_t format, const std::vector<uint8_t>& pixels) {
  png_image image;
  std::memset(&image, 0, sizeof(image));
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = format;
  const auto file = folder.path() / "image.png";
  REQUIRE(png_image_write_to_file(&image, file.c_str(), 0, pixels.data(), 0, nullptr));
  return file;
}

TEST_CASE("TensorFromPng: grey as 0 to 1, or as bytes", "[cli][infer]") {
  const TemporaryFolder folder;
  const auto file = WritePng(folder, 2, 2, PNG_FORMAT_GRAY, {0, 51, 102, 255});
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{-1, 4}, {-1, 2, 2}, {-1, 1, 2, 2}}) {
    const auto tensor = TensorFromPng(file, {"x", wire::DataType::kFp32, shape});
    REQUIRE(tensor.ok());
    std::vector<float> values(4);
    REQUIRE(tensor->bytes.size() == 16);
    std::memcpy(values.data(), tensor->bytes.data(), 16);
    CHECK(values == std::vector<float>{0, 0.2F, 0.4F, 1});
    CHECK(tensor->shape[0] == 1);
    CHECK(tensor->shape.size() == shape.size());
  }
  CHECK(TensorFromPng(file, {"x", wire::DataType::kUint8, {-1, 4}})->bytes ==
        std::string("\0\x33\x66\xff", 4));
}

TEST_CASE("TensorFromPng: colours by plane or by pixel", "[cli][infer]") {
  const TemporaryFolder folder;
  const auto file = WritePng(folder, 2, 1, PNG_FORMAT_RGB, {1, 2, 3, 4, 5, 6});
  CHECK(TensorFromPng(file, {"x", wire::DataType::kUint8, {-1, 3, 1, 2}})->bytes == "\1\4\2\5\3\6");
  CHECK(TensorFromPng(file, {"x", wire::DataType::kUint8, {-1, 1, 2, 3}})->bytes == "\1\2\3\4\5\6");
}

TEST_CASE("TensorFromPng: what shines through is black, colours become grey", "[cli][infer]") {
  const TemporaryFolder folder;
  const InputSpec grey{"x", wire::DataType::kUint8, {-1, 2}};
  auto file = WritePng(folder, 2, 1, PNG_FORMAT_GA, {200, 255, 200, 0});
  CHECK(TensorFromPng(file, grey)->bytes == std::string("\xc8\0", 2));
  file = WritePng(folder, 2, 1, PNG_FORMAT_RGB, {255, 255, 255, 0, 0, 0});
  CHECK(TensorFromPng(file, grey)->bytes == std::string("\xff\0", 2));
  file = WritePng(folder, 2, 1, PNG_FORMAT_GRAY, {7, 9});
  CHECK(TensorFromPng(file, {"x", wire::DataType::kUint8, {-1, 1, 2, 3}})->bytes ==
        "\7\7\7\x09\x09\x09");
}

TEST_CASE("TensorFromPng: a file cut anywhere is refused by its name", "[cli][infer]") {
  const TemporaryFolder folder;
  const auto file = WritePng(folder, 2, 2, PNG_FORMAT_GRAY, {0, 1, 2, 3});
  const auto whole = std::filesystem::file_size(file);
  // The last 16 bytes are the end of the data's checksum and an empty chunk.
  for (uintmax_t size = 0; size + 16 < whole; ++size) {
    CAPTURE(size);
    const auto cut = folder.path() / "cut.png";
    std::filesystem::copy_file(file, cut, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(cut, size);
    const absl::Status status = TensorFromPng(cut, {"x", wire::DataType::kUint8, {-1, 4}}).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find("cut.png") != std::string::npos);
  }
}

TEST_CASE("TensorFromPng: what does not fit says so", "[cli][infer]") {
  const TemporaryFolder folder;
  const auto file = WritePng(folder, 2, 2, PNG_FORMAT_GRAY, {0, 1, 2, 3});
  const auto message = [&](const std::filesystem::path& path, const InputSpec& spec) {
    const absl::Status status = TensorFromPng(path, spec).status();
    CHECK(absl::IsInvalidArgument(status));
    return std::string(status.message());
  };
  CHECK(message(file, {"x", wire::DataType::kFp32, {-1, 784}}).find("2 × 2") != std::string::npos);
  CHECK(message(file, {"x", wire::DataType::kInt64, {-1, 4}}).find("INT64") != std::string::npos);
  folder.Write("no.png", "no image");
  CHECK(message(folder.path() / "no.png", {"x", wire::DataType::kFp32, {-1, 4}}).find("PNG") !=
        std::string::npos);
}

}  // namespace
}  // namespace torchfleet::cli
