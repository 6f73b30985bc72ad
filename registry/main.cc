// torchfleet-registry: who serves which model, where.

#include <sys/resource.h>

#include "base/log.h"
#include "base/process.h"
#include "base/shutdown.h"
#include "registry/commands/migrate_command.h"
#include "registry/commands/store_commands.h"
#include "registry/registry_server.h"
#include "registry/store/open_store.h"

namespace {

// A worker is a connection, and there may be ten thousand: as many as the
// system lets this process have.
void AllowManyConnections() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace torchfleet;
  ShutdownSignal shutdown;
  ProcessOptions process{.role = "registry"};
  registry::RegistryServer::Options options;
  options.store = registry::kDefaultStore;

  CLI::App app(
      "Keeps the list of workers: each holds a lease here, gateways watch.\n"
      "Never on the path of an inference call: while it is away, calls go on.");
  AddFlag(app, "--listen", options.listen,
          "host:port for workers and gateways; port 0 takes a free one");
  AddDurationFlag(app, "--lease", options.lease,
                  "How long a worker that says nothing stays in the fleet");
  AddFlag(app, "--store", options.store,
          "What keeps it: memory, sqlite:PATH, or etcd:HOST:PORT[,HOST:PORT...][/PREFIX] for\n"
          "several registries before one etcd cluster");
  AddProcessFlags(app, process);
  const registry::StoreCommands commands(app, options.store);
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
  AllowManyConnections();
  auto server = registry::RegistryServer::Start(options, clock);
  if (!server.ok()) {
    LogError(std::string(server.status().message()));
    return 1;
  }
  LogInfo("registry serves", {{"address", (*server)->address()},
                              {"operator_address", (*server)->operator_address()},
                              {"store", options.store}});
  AnnounceReady(process, {(*server)->address(), (*server)->operator_address()});

  shutdown.Wait();
  LogInfo("registry stops");
  (*server)->Stop();
  return 0;
}
