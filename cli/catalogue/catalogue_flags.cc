#include "cli/catalogue/catalogue_flags.h"

#include <cstdio>

#include "base/process.h"
#include "cli/client/registry_client.h"
#include "cli/exit_codes.h"
#include "cli/state/files.h"

namespace torchfleet::cli {

CLI::App& AddCatalogueCommand(CLI::App& parent, const std::string& name, const std::string& help,
                              CatalogueOptions& options,
                              int (*run)(const CatalogueOptions& options)) {
  CLI::App& command = *parent.add_subcommand(name, help);
  command.callback([&options, run] { options.run = run; });
  AddFlag(command, "--registry", options.registry,
          "host:port, or several with commas between; the fleet that runs here by default");
  AddDurationFlag(command, "--timeout", options.timeout, "How long to wait for the registry");
  command.add_option("-o", options.format, "table, or json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  return command;
}

void AddChangeFlags(CLI::App& command, CatalogueOptions& options) {
  if (options.actor.empty()) options.actor = Actor();
  AddFlag(command, "--actor", options.actor, "Who changes it, for the history");
  command.add_option("--revision", options.revision,
                     "Only if it is at this revision now; by default any");
}

void AddForceFlag(CLI::App& command, CatalogueOptions& options, const std::string& help) {
  command.add_flag("--force", options.force, help);
}

void AddName(CLI::App& command, CatalogueOptions& options) {
  command.add_option("model", options.name, "The model's name")->required();
}

void AddFile(CLI::App& command, CatalogueOptions& options, const std::string& help) {
  command.add_option("file", options.file, help)->required();
}

absl::StatusOr<std::string> ReadFileOf(const CatalogueOptions& options) {
  return ReadFile(options.file == "-" ? "/dev/stdin" : options.file);
}

int Print(const absl::StatusOr<std::string>& text) {
  if (!text.ok()) return Fail(text.status());
  std::fputs(text->c_str(), stdout);
  return kOk;
}

int WrongUsage(const absl::Status& status) {
  Fail(status);
  return kUsage;
}

}  // namespace torchfleet::cli
