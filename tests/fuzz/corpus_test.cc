// What the fuzz targets begin from is without fault, whatever the compiler.

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "tests/fuzz/archive_check.h"
#include "tests/fuzz/http1_check.h"
#include "tests/fuzz/http2_check.h"
#include "tests/fuzz/request_check.h"
#include "tests/fuzz/small_check.h"

namespace torchfleet {
namespace {

void CheckAll(const std::string& folder,
              const std::function<std::string(std::string_view)>& fault) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TORCHFLEET_CORPUS "/" + folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string input((std::istreambuf_iterator<char>(file)), {});
    INFO(entry.path().filename().string());
    CHECK(fault(input) == "");
    ++count;
  }
  CHECK(count >= 5);
}

TEST_CASE("Corpus: HTTP/1", "[net][http1]") { CheckAll("http1", net::Http1Fault); }

TEST_CASE("Corpus: HTTP/2", "[net][http2]") { CheckAll("net", net::Http2Fault); }

TEST_CASE("Corpus: requests as a worker reads them", "[worker]") {
  CheckAll("wire", worker::RequestFault);
}

TEST_CASE("Corpus: archives of models", "[worker]") { CheckAll("archive", worker::ArchiveFault); }

TEST_CASE("Corpus: the small readers", "[gateway][base][cli]") { CheckAll("small", SmallFault); }

}  // namespace
}  // namespace torchfleet
