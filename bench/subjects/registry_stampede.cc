// Workers that announce themselves as ours do, for as long as standard input is
// open: torchfleet-bench-registry-stampede HOST:PORT COUNT

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "registry/client/announcer.h"

int main(int argc, char** argv) {
  using namespace torchfleet;
  if (argc != 3 || !InitLog("stampede", "text", "error").ok()) return 2;
  std::vector<std::unique_ptr<registry::Announcer>> workers;
  for (int i = 0; i < std::atoi(argv[2]); ++i) {
    registry::v1::Worker worker;
    worker.set_worker_id("worker-" + std::to_string(i));
    worker.set_address("127.0.0.1:9000");
    worker.set_model("model");
    worker.set_version("1");
    workers.push_back(std::make_unique<registry::Announcer>(
        argv[1], worker,
        registry::Announcer::Callbacks{.load = [] { return registry::v1::Load(); }}));
    workers.back()->Start(registry::v1::WORKER_STATE_READY);
  }
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  // Ends at once: a thousand farewells are not what is measured.
  std::_Exit(0);
}
