#include "model-worker/execute/call_spec.h"

#include <catch2/catch_test_macros.hpp>

namespace torchfleet::worker {
namespace {

using Names = std::vector<std::string>;

constexpr char kLeaf[] = R"({"type": null, "context": null, "children_spec": []})";

std::string Tuple(const std::string& children) {
  return R"({"type": "builtins.tuple", "context": "null", "children_spec": [)" + children + "]}";
}
std::string Dictionary(const std::string& keys, const std::string& children) {
  return R"({"type": "builtins.dict", "context": ")" + keys + R"(", "children_spec": [)" +
         children + "]}";
}
auto Read(const std::string& tree) { return LeafNames("[1, " + tree + "]"); }

TEST_CASE("LeafNames: a dictionary's keys, nothing for the rest", "[worker][execute]") {
  const std::string leaf = kLeaf, two = leaf + "," + leaf;
  CHECK(Read(leaf) == Names{""});
  CHECK(Read(Tuple(two)) == Names{"", ""});
  CHECK(Read(Tuple("")) == Names{});
  CHECK(Read(Dictionary(R"([\"a\", \"b\"])", two)) == Names{"a", "b"});
  // As torch writes arguments: a tuple of them, then those by keyword.
  CHECK(Read(Tuple(Tuple(two) + "," + Dictionary(R"([\"k\"])", leaf))) == Names{"", "", "k"});
  CHECK(Read(Tuple(Tuple(Dictionary(R"([\"x\", \"y\"])", two)) + "," + Dictionary("[]", ""))) ==
        Names{"x", "y"});
  // A context that does not fit its children gives no names.
  CHECK(Read(Dictionary(R"([\"a\"])", two)) == Names{"", ""});
  CHECK(Read(Dictionary("{", two)) == Names{"", ""});
  CHECK(Read(Dictionary("[1, 2]", two)) == Names{"", ""});
}

TEST_CASE("LeafNames: nothing for what is no tree", "[worker][execute]") {
  std::string deep = kLeaf;
  for (int i = 0; i < 100; ++i) deep = Tuple(deep);
  for (const std::string& text :
       {std::string(), std::string("[1"), std::string("[2, ") + kLeaf + "]", std::string("[1, 3]"),
        std::string("{}"), std::string(R"([1, {"type": "t"}])"),
        std::string(R"([1, {"type": "t", "children_spec": [4]}])"), "[1, " + deep + "]",
        std::string(100'000, '[')}) {
    CHECK(!LeafNames(text));
  }
}

}  // namespace
}  // namespace torchfleet::worker
