#include "base/npy.h"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

namespace torchfleet {
namespace {

// A file of that version of the format; `header` as NumPy writes it.
std::string Npy(const std::string& header, const std::string& data, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += {static_cast<char>(version), '\0'};
  const size_t width = version == 1 ? 2 : 4;
  for (size_t i = 0; i < width; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + data;
}

std::string Header(const std::string& descr, const std::string& shape,
                   const std::string& order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

std::string Refused(const std::string& bytes) {
  const absl::Status status = ParseNpy(bytes).status();
  CHECK(absl::IsInvalidArgument(status));
  return std::string(status.message());
}

bool Contains(const std::string& text, const std::string& part) {
  CAPTURE(text, part);
  return text.find(part) != std::string::npos;
}

TEST_CASE("ParseNpy: every type of numbers, a view of the file's own bytes", "[base][npy]") {
  struct Row {
    const char* descr;
    size_t size;
  };
  const Row rows[] = {{"|b1", 1}, {"|u1", 1}, {"|i1", 1}, {"<u2", 2}, {"<i2", 2}, {"<u4", 4},
                      {"<i4", 4}, {"<u8", 8}, {"<i8", 8}, {"<f2", 2}, {"<f4", 4}, {"<f8", 8}};
  for (const Row& row : rows) {
    CAPTURE(row.descr);
    std::string data;
    for (size_t i = 0; i < 6 * row.size; ++i) data += static_cast<char>(i);
    const std::string file = Npy(Header(row.descr, "(2, 3)"), data);
    const auto array = ParseNpy(file);
    REQUIRE(array.ok());
    CHECK(array->descr == row.descr);
    CHECK(array->shape == std::vector<int64_t>{2, 3});
    CHECK(array->data == data);
    CHECK(array->data.data() == file.data() + file.size() - data.size());
  }
}

TEST_CASE("ParseNpy: versions 1 to 3, and every shape", "[base][npy]") {
  for (const int version : {1, 2, 3}) {
    CAPTURE(version);
    const std::string file = Npy(Header("|u1", "(3,)"), "abc", version);
    REQUIRE(ParseNpy(file).ok());
    CHECK(ParseNpy(file)->data == "abc");
  }
  // A header longer than a byte can say.
  const std::string file = Npy(Header("|u1", "(3,)") + std::string(300, ' '), "abc", 2);
  REQUIRE(ParseNpy(file).ok());
  CHECK(ParseNpy(file)->data == "abc");
  struct Row {
    const char* text;
    std::vector<int64_t> shape;
    size_t count;
  };
  const Row rows[] = {
      {"()", {}, 1},         {"(0,)", {0}, 0},          {"(2,)", {2}, 2},
      {"(2, 3)", {2, 3}, 6}, {"(2,3,1)", {2, 3, 1}, 6}, {"(4, 0, 9)", {4, 0, 9}, 0}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const std::string bytes = Npy(Header("|u1", row.text), std::string(row.count, 'x'));
    REQUIRE(ParseNpy(bytes).ok());
    CHECK(ParseNpy(bytes)->shape == row.shape);
  }
}

TEST_CASE("ParseNpy: what it does not read is refused by its name", "[base][npy]") {
  const std::string eight(8, '\0');
  CHECK(Contains(Refused(Npy(Header("<f4", "(2,)", "True"), eight)), "Fortran"));
  // Big-endian, Python objects, text, dates, complex and extended numbers,
  // sizes that no number has.
  for (const char* descr : {">f4", ">i8", "|O8", "<U2", "|S8", "<M8", "<c8", "<f16", "<f3", "<i3",
                            "<u16", "|b8", "<f1", "!f4", "f4", "<f", "<f-4", ""}) {
    CAPTURE(descr);
    const std::string message = Refused(Npy(Header(descr, "(1,)"), eight));
    CHECK(Contains(message, "'" + std::string(descr) + "'"));
    CHECK(Contains(message, "expected little-endian"));
  }
  const std::string record = "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,), }";
  CHECK(Contains(Refused(Npy(record, eight)), "records"));
  CHECK(Contains(Refused(Npy(Header("|u1", "(8,)"), eight, 4)), "version is 4"));
  CHECK(Contains(Refused(Npy(Header("|u1", "(8,)"), eight, 0)), "version is 0"));
}

TEST_CASE("ParseNpy: a file cut anywhere is refused", "[base][npy]") {
  for (const int version : {1, 2}) {
    const std::string whole = Npy(Header("<f4", "(2,)"), std::string(8, 'x'), version);
    REQUIRE(ParseNpy(whole).ok());
    for (size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(version, size);
      Refused(whole.substr(0, size));
    }
    CHECK(Contains(Refused(whole.substr(0, whole.size() - 1)), "8 bytes of elements, 7 are there"));
    CHECK(Contains(Refused(whole + "x"), "8 bytes of elements, 9 are there"));
  }
  CHECK(Contains(Refused(std::string("PK\3\4 an archive of arrays")), "no .npy file"));
}

TEST_CASE("ParseNpy: a header that makes no sense is refused", "[base][npy]") {
  CHECK(Contains(Refused(Npy("{}", "")), "descr"));
  CHECK(Contains(Refused(Npy("{'descr': '<f4'}", "")), "fortran_order"));
  CHECK(Contains(Refused(Npy("{'descr': '<f4', 'fortran_order': False}", "")), "shape"));
  CHECK(Contains(Refused(Npy("{'descr': '<f4", "")), "descr"));
  for (const char* shape : {"(-1,)", "(2", "2", "(2.5,)", "(1 2)", "(x,)", "(1, (2,))"}) {
    CAPTURE(shape);
    CHECK(Contains(Refused(Npy(Header("|u1", shape), "12")), "shape"));
  }
  for (const char* shape :
       {"(99999999999999999999,)", "(9223372036854775807, 2)", "(4294967296, 4294967296)"}) {
    CAPTURE(shape);
    CHECK(Contains(Refused(Npy(Header("<f4", shape), "")), "too large"));
  }
}

}  // namespace
}  // namespace torchfleet
