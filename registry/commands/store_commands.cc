#include "registry/commands/store_commands.h"

#include "base/log.h"
#include "registry/store/open_store.h"
#include "registry/store/sqlite_backup.h"

namespace torchfleet::registry {

StoreCommands::StoreCommands(CLI::App& app, const std::string& store)
    : store_(store),
      backup_(app.add_subcommand(
          "backup", "Copy the catalogue of --store into a new file; a registry may be running")),
      restore_(app.add_subcommand(
          "restore", "Put a backup in the place of --store's catalogue; no registry may run")) {
  // --store and the flags of logs are those of the process.
  backup_->fallthrough();
  restore_->fallthrough();
  backup_->add_option("file", file_, "The file to write; it must not be there")->required();
  restore_->add_option("file", file_, "The backup")->required();
  restore_->add_flag("--force", force_,
                     "Also where there is a catalogue, which is kept as <path>.before-restore");
}

std::optional<int> StoreCommands::Run() const {
  if (!backup_->parsed() && !restore_->parsed()) return std::nullopt;
  const auto path = SqlitePath(store_);
  absl::Status status = path.status();
  if (status.ok()) {
    status = backup_->parsed() ? BackUpSqlite(*path, file_) : RestoreSqlite(file_, *path, force_);
  }
  if (!status.ok()) {
    LogError(std::string(status.message()));
    return absl::IsInvalidArgument(status) ? 2 : 1;
  }
  LogInfo(backup_->parsed() ? "catalogue backed up" : "catalogue restored",
          {{"catalogue", *path}, {"backup", file_}});
  return 0;
}

}  // namespace torchfleet::registry
