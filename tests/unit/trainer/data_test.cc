#include <zlib.h>

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "tests/fakes/temporary_folder.h"
#include "trainer/data/data_file.h"
#include "trainer/data/dataset.h"

namespace torchfleet::trainer {
namespace {

std::string BigEndian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

// Unsigned bytes of these sizes.
std::string Idx(const std::vector<uint32_t>& sizes, const std::string& data) {
  std::string bytes = std::string("\0\0\x08", 3) + static_cast<char>(sizes.size());
  for (const uint32_t size : sizes) bytes += BigEndian(size);
  return bytes + data;
}

void WriteGzipped(const TemporaryFolder& folder, const std::string& name,
                  const std::string& bytes) {
  const gzFile file = gzopen((folder.path() / name).c_str(), "wb");
  REQUIRE(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) ==
          static_cast<int>(bytes.size()));
  gzclose(file);
}

// The message of an error that names the file.
std::string Refused(const absl::Status& status, const std::string& file) {
  CHECK(absl::IsInvalidArgument(status));
  const std::string message(status.message());
  CHECK(message.find(file) != std::string::npos);
  return message;
}

bool Contains(const std::string& text, const std::string& part) {
  CAPTURE(text);
  return text.find(part) != std::string::npos;
}

TEST_CASE("ReadIdx: bytes of any rank, gzipped or not", "[trainer][data]") {
  const TemporaryFolder folder;
  const std::string bytes = Idx({2, 3}, std::string("\0\1\2\3\4\xff", 6));
  folder.Write("plain", bytes);
  WriteGzipped(folder, "packed.gz", bytes);
  for (const char* name : {"plain", "packed.gz"}) {
    const auto table = ReadIdx(folder.path() / name);
    REQUIRE(table.ok());
    CHECK(table->shape == std::vector<size_t>{2, 3});
    CHECK(table->values == std::vector<float>{0, 1, 2, 3, 4, 255});
  }
}

TEST_CASE("ReadIdx: what is damaged is refused by name", "[trainer][data]") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& bytes) {
    folder.Write("images", bytes);
    return Refused(ReadIdx(folder.path() / "images").status(), "images");
  };
  CHECK(Contains(refused(""), "no IDX file"));
  CHECK(Contains(refused("PK\3\4"), "no IDX file"));
  CHECK(Contains(refused(std::string("\0\0\x0d\1", 4) + BigEndian(1) + "0000"), "type 13"));
  CHECK(Contains(refused(std::string("\0\0\x08\3\0\0", 6)), "cut short"));
  CHECK(Contains(refused(Idx({3, 2}, "12345")), "ends in record 2"));
  CHECK(Contains(refused(Idx({1, 2}, "123")), "says 2 values, 3 are there"));
  CHECK(Contains(refused(Idx({0xffffffff, 0xffffffff, 0xffffffff}, "")), "beyond all memory"));
  CHECK(absl::IsNotFound(ReadIdx(folder.path() / "none").status()));
}

TEST_CASE("ReadDataFile: an archive that is cut short is refused", "[trainer][data]") {
  const TemporaryFolder folder;
  std::string bytes;
  for (int i = 0; i < 100000; ++i) bytes += std::to_string(i);
  WriteGzipped(folder, "whole.gz", bytes);
  CHECK(*ReadDataFile(folder.path() / "whole.gz") == bytes);
  std::filesystem::copy(folder.path() / "whole.gz", folder.path() / "cut.gz");
  std::filesystem::resize_file(folder.path() / "cut.gz", 10000);
  CHECK(Contains(Refused(ReadDataFile(folder.path() / "cut.gz").status(), "cut.gz"), "cut short"));
}

TEST_CASE("ReadCsv: numbers by line; errors by line and column", "[trainer][data]") {
  const TemporaryFolder folder;
  folder.Write("data.csv", "a,b\r\n1, 2.5\r\n\n-3e2,4\n");
  const auto table = ReadCsv(folder.path() / "data.csv", /*header=*/true);
  REQUIRE(table.ok());
  CHECK(table->shape == std::vector<size_t>{2, 2});
  CHECK(table->values == std::vector<float>{1, 2.5F, -300, 4});

  const auto refused = [&](const char* text) {
    folder.Write("data.csv", text);
    return Refused(ReadCsv(folder.path() / "data.csv", false).status(), "data.csv");
  };
  CHECK(Contains(refused("1,2\n3\n"), "data.csv:2: 1 columns; the lines before have 2"));
  CHECK(Contains(refused("1,2\n3,x\n"), "data.csv:2: column 2 is 'x'"));
  CHECK(Contains(refused("1,nan\n"), "finite"));
  CHECK(Contains(refused("1,1e99\n"), "finite"));
  CHECK(Contains(refused("1,\n"), "column 2 is ''"));
}

TEST_CASE("ReadNpy: numbers of every type", "[trainer][data]") {
  const TemporaryFolder folder;
  const std::string header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 1), }";
  folder.Write("x.npy", std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) +
                            std::string(1, '\0') + header + std::string("\xff\xff\2\0", 4));
  const auto table = ReadNpy(folder.path() / "x.npy");
  REQUIRE(table.ok());
  CHECK(table->shape == std::vector<size_t>{2, 1});
  CHECK(table->values == std::vector<float>{-1, 2});
  folder.Write("x.npy", "no array");
  Refused(ReadNpy(folder.path() / "x.npy").status(), "x.npy");
}

std::string Npy(const std::string& descr, const std::string& shape, const std::string& data) {
  const std::string header =
      "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) +
         std::string(1, '\0') + header + data;
}

template <typename Element>
std::string Bytes(std::initializer_list<Element> elements) {
  std::string bytes;
  for (const Element element : elements) {
    bytes.append(reinterpret_cast<const char*>(&element), sizeof(element));
  }
  return bytes;
}

TEST_CASE("ReadNpy: each type by its own values", "[trainer][data]") {
  struct Row {
    const char* descr;
    std::string data;
    std::vector<float> values;
  };
  const Row rows[] = {{"|b1", Bytes<uint8_t>({0, 1}), {0, 1}},
                      {"|u1", Bytes<uint8_t>({1, 255}), {1, 255}},
                      {"|i1", Bytes<int8_t>({-128, 127}), {-128, 127}},
                      {"<u2", Bytes<uint16_t>({1, 65535}), {1, 65535}},
                      {"<i2", Bytes<int16_t>({-32768, 2}), {-32768, 2}},
                      {"<u4", Bytes<uint32_t>({1, 1u << 31}), {1, 0x1p31F}},
                      {"<i4", Bytes<int32_t>({INT32_MIN, 2}), {-0x1p31F, 2}},
                      {"<u8", Bytes<uint64_t>({1, 1ull << 63}), {1, 0x1p63F}},
                      {"<i8", Bytes<int64_t>({INT64_MIN, 2}), {-0x1p63F, 2}},
                      {"<f4", Bytes<float>({0.1F, -2}), {0.1F, -2}},
                      {"<f8", Bytes<double>({0.1, -2}), {0.1F, -2}}};
  const TemporaryFolder folder;
  for (const Row& row : rows) {
    CAPTURE(row.descr);
    folder.Write("x.npy", Npy(row.descr, "(2,)", row.data));
    const auto table = ReadNpy(folder.path() / "x.npy");
    REQUIRE(table.ok());
    CHECK(table->shape == std::vector<size_t>{2});
    CHECK(table->values == row.values);
  }
  const auto refused = [&](const std::string& bytes) {
    folder.Write("x.npy", bytes);
    return Refused(ReadNpy(folder.path() / "x.npy").status(), "x.npy");
  };
  CHECK(Contains(refused(Npy("<f2", "(2,)", "1234")), "'f2'"));
  CHECK(Contains(refused(Npy(">f4", "(1,)", "1234")), "'>f4'"));
  CHECK(Contains(refused(Npy("<f4", "()", "1234")), "expected records"));
  CHECK(Contains(refused(Npy("<f4", "(2,)", "1234")), "8 bytes of elements, 4 are there"));
}

TEST_CASE("LoadDataset: what is no finite number is refused by its record", "[trainer][data]") {
  const TemporaryFolder folder;
  folder.Write("x.npy", Npy("<f4", "(3, 2)", Bytes<float>({1, 2, 3, 4, 5, INFINITY})));
  folder.Write("y.npy", Npy("<f4", "(3,)", Bytes<float>({1, NAN, 3})));
  folder.Write("good.npy", Npy("<f4", "(3,)", Bytes<float>({1, 2, 3})));
  const auto load = [&](const char* inputs, const char* targets) {
    return LoadDataset({NpySource{folder.path() / inputs, folder.path() / targets}, 1}).status();
  };
  CHECK(load("good.npy", "good.npy").ok());
  CHECK(Contains(Refused(load("x.npy", "good.npy"), "x.npy"), "record 2 holds inf"));
  CHECK(Contains(Refused(load("good.npy", "y.npy"), "y.npy"), "record 1 holds nan"));
}

TEST_CASE("LoadDataset: records with their targets, scaled", "[trainer][data]") {
  const TemporaryFolder folder;
  folder.Write("data.csv", "2,4,1\n6,8,0\n");
  const auto data = LoadDataset({CsvSource{folder.path() / "data.csv", false, 1}, 0.5});
  REQUIRE(data.ok());
  CHECK(data->records == 2);
  CHECK(data->inputs == std::vector<float>{1, 2, 3, 4});
  CHECK(data->targets == std::vector<float>{1, 0});
}

TEST_CASE("LoadDataset: what does not belong together is refused", "[trainer][data]") {
  const TemporaryFolder folder;
  folder.Write("images", Idx({2, 2}, "1234"));
  folder.Write("labels", Idx({3}, std::string("\0\1\1", 3)));
  CHECK(Contains(
      Refused(
          LoadDataset({IdxSource{folder.path() / "images", folder.path() / "labels"}, 1}).status(),
          "labels"),
      "holds 2 records"));
  folder.Write("empty.csv", "");
  CHECK(Contains(
      Refused(LoadDataset({CsvSource{folder.path() / "empty.csv", false, 1}, 1}).status(), "empty"),
      "no record"));
  folder.Write("one.csv", "1\n");
  CHECK(Contains(
      Refused(LoadDataset({CsvSource{folder.path() / "one.csv", false, 1}, 1}).status(), "one.csv"),
      "expected inputs"));
}

TEST_CASE("CheckDataset: records and labels against the network", "[trainer][data]") {
  Dataset data{.records = 2,
               .input_size = 4,
               .target_size = 1,
               .inputs = {},
               .targets = {0, 9},
               .files = {"images", "labels"}};
  CHECK(CheckDataset(data, 4, 10, 10).ok());
  CHECK(Contains(Refused(CheckDataset(data, 5, 10, 10), "images"), "input_shape takes 5"));
  CHECK(Contains(Refused(CheckDataset(data, 4, 9, 9), "labels"),
                 "record 1 has the label 9; the network gives classes 0 to 8"));
  CHECK(Contains(Refused(CheckDataset(data, 4, 2, 0), "labels"), "the network gives 2"));
  for (const float label : {-1.0F, 0.5F}) {
    data.targets[0] = label;
    CHECK(Contains(Refused(CheckDataset(data, 4, 10, 10), "labels"), "record 0"));
  }
}

}  // namespace
}  // namespace torchfleet::trainer
