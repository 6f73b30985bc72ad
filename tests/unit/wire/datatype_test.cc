#include "wire/datatype.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::wire {
namespace {

TEST_CASE("DataType: every type's name reads back as the type", "[wire][datatype]") {
  for (const DataType type : kAllDataTypes) {
    CAPTURE(std::string(DataTypeName(type)));
    CHECK(ParseDataType(DataTypeName(type)) == type);
  }
}

TEST_CASE("DataType: other names are none", "[wire][datatype]") {
  for (const char* name : {"", "fp32", "FP128", "FP3", "FP321", "STRING"}) {
    CAPTURE(name);
    CHECK_FALSE(ParseDataType(name).has_value());
  }
}

TEST_CASE("DataType: elements have the size their name says", "[wire][datatype]") {
  CHECK(ElementSize(DataType::kBool) == 1);
  CHECK(ElementSize(DataType::kUint16) == 2);
  CHECK(ElementSize(DataType::kInt64) == 8);
  CHECK(ElementSize(DataType::kFp16) == 2);
  CHECK(ElementSize(DataType::kBf16) == 2);
  CHECK(ElementSize(DataType::kFp32) == 4);
  CHECK(ElementSize(DataType::kBytes) == 0);
}

}  // namespace
}  // namespace torchfleet::wire
