// torchfleet-registry: who serves which model, where.

#include "base/log.h"
#include "base/process.h"
#include "base/shutdown.h"
#include "registry/commands/migrate_command.h"
#include "registry/commands/store_commands.h"
#include "registry/registry_server.h"
#include "registry/store/open_store.h"

int main(int argc, char** argv) {
  using namespace torchfleet;
  ShutdownSignal shutdown;
  ProcessOptions process{.role = "registry"};
  registry::RegistryServer::Options options;

  CLI::App app(
      "Keeps the list of workers: each holds a lease here, gateways watch.\n"
      "Never on the path of an inference call: while it is away, calls go on.");
  AddFlag(app, "--listen", options.listen,
          "host:port for workers and gateways; port 0 takes a free one");
  AddDurationFlag(app, "--lease", options.lease,
                  "How long a worker that says nothing stays in the fleet");
  std::string store(registry::kDefaultStore);
  AddFlag(app, "--store", store, "Where the catalogue is: sqlite:PATH");
  AddProcessFlags(app, process);
  const registry::StoreCommands commands(app, store);
  const registry::MigrateCommand migrate(app);
  if (const auto exit_code = ParseFlags(app, argc, argv)) return *exit_code;
  if (const absl::Status status = InitLog(process.role, process.log_format, process.log_level);
      !status.ok()) {
    LogError(std::string(status.message()));
    return 2;
  }
  const MonotonicClock clock;
  if (const auto exit_code = commands.Run()) return *exit_code;
  if (const auto exit_code = migrate.Run(clock)) return *exit_code;

  options.operator_listen = process.operator_listen;
  auto server = registry::RegistryServer::Start(options, clock);
  if (!server.ok()) {
    LogError(std::string(server.status().message()));
    return 1;
  }
  LogInfo("registry serves",
          {{"address", (*server)->address()}, {"operator_address", (*server)->operator_address()}});
  AnnounceReady(process, {(*server)->address(), (*server)->operator_address()});

  shutdown.Wait();
  LogInfo("registry stops");
  (*server)->Stop();
  return 0;
}
