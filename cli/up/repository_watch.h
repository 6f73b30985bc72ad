#pragma once
// Sees which models of a repository have changed, by looking at names, sizes and
// times of their files; reads none.
//
// A change counts when two looks in a row have found the same, so that what is
// still being copied is not taken for whole. A repository that cannot be listed,
// or holds no model at all, is taken for one that is away: nothing has changed.
// Not thread-safe.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"

namespace torchfleet::cli {

class RepositoryWatch {
 public:
  struct Change {
    std::string model;
    // It has no config.pbtxt any more.
    bool gone = false;

    friend bool operator==(const Change&, const Change&) = default;
  };

  explicit RepositoryWatch(std::filesystem::path repository);

  // The models that are not as they were told last, by name. At first nothing has
  // been told: the second look tells of every model. NOT_FOUND and others as above.
  absl::StatusOr<std::vector<Change>> Look();

 private:
  // Of a file: inode, size and when it was written in nanoseconds.
  using Mark = std::tuple<ino_t, int64_t, int64_t>;
  // Of a model's files, by path.
  using Marks = std::map<std::string, Mark>;

  Marks MarksOf(const std::string& model) const;

  const std::filesystem::path repository_;
  // By model.
  std::map<std::string, Marks> told_, before_;
};

}  // namespace torchfleet::cli
