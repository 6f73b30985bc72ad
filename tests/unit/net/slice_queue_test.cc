#include "net/buffer/slice_queue.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <random>
#include <string>

namespace torchfleet::net {
namespace {

std::string Content(const SliceQueue& queue) {
  iovec parts[4096];
  std::string content;
  const int count = queue.Describe(parts, 4096);
  for (int i = 0; i < count; ++i) {
    content.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  }
  return content;
}

std::string RandomBytes(std::minstd_rand& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST_CASE("SliceQueue: whatever is done to it, it holds what a string would", "[net][buffer]") {
  std::minstd_rand random(GENERATE(1, 2, 3, 4, 5, 6, 7, 8));
  BlockPool pool;
  SliceQueue queues[2];
  std::string expected[2];
  for (int step = 0; step < 2000; ++step) {
    const size_t at = random() % 2;
    SliceQueue& queue = queues[at];
    std::string& text = expected[at];
    const size_t size = random() % (random() % 10 == 0 ? 100000 : 3000);
    switch (random() % 4) {
      case 0: {
        const std::string bytes = RandomBytes(random, size);
        queue.Append(Slice::Keep(bytes));
        text += bytes;
        break;
      }
      case 1: {
        const std::string bytes = RandomBytes(random, size);
        queue.AppendCopy(bytes, pool);
        text += bytes;
        break;
      }
      case 2: {
        const size_t count = std::min(size, queue.size());
        queue.MoveTo(queues[1 - at], count, pool);
        expected[1 - at] += text.substr(0, count);
        text.erase(0, count);
        break;
      }
      default: {
        const size_t count = std::min(2 * size, queue.size());
        queue.Drop(count);
        text.erase(0, count);
      }
    }
    for (size_t i = 0; i < 2; ++i) {
      REQUIRE(queues[i].size() == expected[i].size());
      REQUIRE(queues[i].empty() == expected[i].empty());
    }
    if (step % 20 == 0) REQUIRE(Content(queue) == text);
  }
  REQUIRE(Content(queues[0]) == expected[0]);
  REQUIRE(Content(queues[1]) == expected[1]);
}

TEST_CASE("SliceQueue: small copies share a block", "[net][buffer]") {
  BlockPool pool;
  SliceQueue queue;
  for (int i = 0; i < 100; ++i) queue.AppendCopy("some bytes", pool);
  iovec parts[8];
  CHECK(queue.Describe(parts, 8) == 1);
}

TEST_CASE("BlockPool: a read's room comes again unless somebody keeps a slice of it",
          "[net][buffer]") {
  BlockPool pool;
  const BlockPool::Room first = pool.ReadRoom();
  pool.Filled(100);
  CHECK(pool.ReadRoom().at == first.at);
  pool.Filled(100);
  {
    const Slice kept(first.block, {first.at, 100});
    CHECK(pool.ReadRoom().at == first.at + 100);
    pool.Filled(BlockPool::kBlockSize - (4 << 10));
    CHECK(pool.ReadRoom().block != first.block);
    CHECK(kept.bytes().data() == first.at);
  }
}

TEST_CASE("Slice: keeps its owner alive", "[net][buffer]") {
  auto owner = std::make_shared<std::string>("kept");
  const std::weak_ptr<std::string> watch = owner;
  {
    Slice slice = Slice::Keep(owner, *owner);
    owner.reset();
    const Slice front = slice.Cut(2);
    slice = Slice();
    CHECK(front.bytes() == "ke");
    CHECK_FALSE(watch.expired());
  }
  CHECK(watch.expired());
}

}  // namespace
}  // namespace torchfleet::net
