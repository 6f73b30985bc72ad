#include "registry/commands/migrate_command.h"

#include <fmt/format.h>

#include <memory>

#include "base/log.h"
#include "base/status.h"
#include "registry/commands/catalogue_copy.h"
#include "registry/store/open_store.h"

namespace torchfleet::registry {

namespace {

absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& text, const Clock& clock) {
  if (text == "memory") {
    return absl::InvalidArgumentError(
        "memory is gone with its process; expected sqlite:PATH or etcd:HOST:PORT");
  }
  return OpenStore(text, clock);
}

}  // namespace

MigrateCommand::MigrateCommand(CLI::App& app)
    : migrate_(app.add_subcommand(
          "migrate", "Copy the catalogue with its audit trail from one store to another")) {
  // The flags of logs are the process's.
  migrate_->fallthrough();
  migrate_->add_option("--from", from_, "The store to read; no registry may hold its SQLite file")
      ->required();
  migrate_->add_option("--to", to_, "The store to write")->required();
  migrate_->add_flag("--force", force_, "Replace what the target holds");
}

std::optional<int> MigrateCommand::Run(const Clock& clock) const {
  if (!migrate_->parsed()) return std::nullopt;
  const absl::Status status = Migrate(clock);
  if (status.ok()) return 0;
  LogError(fmt::format("the catalogue was not migrated: {}", std::string(status.message())));
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

absl::Status MigrateCommand::Migrate(const Clock& clock) const {
  if (from_ == to_) {
    return absl::InvalidArgumentError("--from and --to are the same; expected two stores");
  }
  ASSIGN_OR_RETURN(const auto from, Open(from_, clock));
  ASSIGN_OR_RETURN(const auto to, Open(to_, clock));
  ASSIGN_OR_RETURN(const CopiedCatalogue copied, CopyCatalogue(*from, *to, force_));
  LogInfo("catalogue migrated", {{"from", from_},
                                 {"to", to_},
                                 {"models", copied.models},
                                 {"routes", copied.routes},
                                 {"changes", copied.changes}});
  return absl::OkStatus();
}

}  // namespace torchfleet::registry
