#include "cli/up/repository_watch.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <set>
#include <utility>

#include "base/status.h"
#include "repository/layout.h"

namespace torchfleet::cli {
namespace {

namespace fs = std::filesystem;

bool IsVersion(const fs::path& folder) {
  const std::string name = folder.filename().string();
  return !name.empty() && name.find_first_not_of("0123456789") == name.npos;
}

// What is not there has no marks.
template <typename Map>
const typename Map::mapped_type* Find(const Map& map, const std::string& name) {
  const auto found = map.find(name);
  return found == map.end() ? nullptr : &found->second;
}

template <typename Marks>
bool Same(const Marks* a, const Marks* b) {
  return a && b ? *a == *b : !a && !b;
}

}  // namespace

RepositoryWatch::RepositoryWatch(fs::path repository) : repository_(std::move(repository)) {}

RepositoryWatch::Marks RepositoryWatch::MarksOf(const std::string& model) const {
  Marks marks;
  const auto add = [&](const fs::path& path) {
    struct stat found {};
    if (stat(path.c_str(), &found) != 0) return;
    marks[path.string()] = {found.st_ino, S_ISDIR(found.st_mode) ? 0 : found.st_size,
                            int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
  };
  add(repository_ / model / "config.pbtxt");
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(repository_ / model, error)) {
    if (!IsVersion(entry.path())) continue;
    add(entry.path());
    for (fs::recursive_directory_iterator next(entry.path(), error), end; !error && next != end;
         next.increment(error)) {
      add(next->path());
    }
  }
  return marks;
}

absl::StatusOr<std::vector<RepositoryWatch::Change>> RepositoryWatch::Look() {
  ASSIGN_OR_RETURN(const std::vector<std::string> models, repository::ListModels(repository_));
  if (models.empty()) {
    return absl::NotFoundError(fmt::format(
        "{} holds no model any more; expected a folder with a config.pbtxt", repository_.string()));
  }
  std::map<std::string, Marks> now;
  std::set<std::string> names;
  for (const std::string& model : models) {
    now[model] = MarksOf(model);
    names.insert(model);
  }
  for (const auto& [model, marks] : told_) names.insert(model);
  std::vector<Change> changes;
  for (const std::string& name : names) {
    const Marks* const marks = Find(now, name);
    if (!Same(marks, Find(before_, name)) || Same(marks, Find(told_, name))) continue;
    changes.push_back({name, !marks});
    if (marks) {
      told_[name] = *marks;
    } else {
      told_.erase(name);
    }
  }
  before_ = std::move(now);
  return changes;
}

}  // namespace torchfleet::cli
