#include "tests/simulation/stories.h"

namespace torchfleet::simulation {

Figures OneSlow(FleetOptions options) {
  Simulation fleet(options);
  fleet.worker(0).SetSlowness(5);
  fleet.Run(absl::Seconds(60));
  return fleet.Measure(absl::Seconds(5), absl::Seconds(60));
}

Figures KilledAgainAndAgain(FleetOptions options) {
  options.workers = 3;
  options.load = 0.4;
  Simulation fleet(options);
  fleet.Run(absl::Seconds(2));
  for (size_t i = 0; i < 30; ++i) {
    fleet.KillAndRestart(i % 3, absl::Seconds(1));
    fleet.Run(absl::Seconds(2));
  }
  return fleet.Measure(absl::ZeroDuration(), absl::Seconds(62));
}

Frozen OneFrozen(FleetOptions options) {
  options.gateway.deadline = absl::Milliseconds(500);
  Simulation fleet(options);
  fleet.Run(absl::Seconds(10));
  fleet.worker(0).Freeze();
  fleet.Run(absl::Seconds(10));
  fleet.worker(0).Thaw();
  fleet.Run(absl::Seconds(10));
  const auto between = [&](double from, double to) {
    return fleet.Measure(absl::Seconds(from), absl::Seconds(to));
  };
  return {between(5, 10), between(10, 10.2), between(10.2, 30), between(11, 20)};
}

Figures Stragglers(FleetOptions options) {
  options.worker.stragglers = 0.02;
  options.load = 0.3;
  Simulation fleet(options);
  fleet.Run(absl::Seconds(60));
  return fleet.Measure(absl::Seconds(5), absl::Seconds(60));
}

Figures AllDown(FleetOptions options) {
  Simulation fleet(options);
  for (size_t i = 0; i < fleet.workers(); ++i) fleet.worker(i).Kill();
  fleet.Run(absl::Seconds(30));
  return fleet.Measure(absl::ZeroDuration(), absl::Seconds(30));
}

Overload ThreeTimes(FleetOptions options) {
  Simulation fleet(options);
  fleet.Run(absl::Seconds(20));
  fleet.SetLoad(3);
  fleet.Run(absl::Seconds(60));
  fleet.SetLoad(options.load);
  fleet.Run(absl::Seconds(20));
  const auto between = [&](int from, int to) {
    return fleet.Measure(absl::Seconds(from), absl::Seconds(to));
  };
  return {between(5, 20), between(20, 80), between(82, 100)};
}

Zones TwoZones(FleetOptions options) {
  options.zones = options.gateways = 2;
  Zones figures;
  {
    Simulation fleet(options);
    fleet.Run(absl::Seconds(60));
    figures.even = fleet.Measure(absl::Seconds(5), absl::Seconds(60));
  }
  options.load = 0.4;
  {
    Simulation fleet(options);
    fleet.Run(absl::Seconds(10));
    for (size_t i = 0; i < fleet.workers(); i += 2) fleet.worker(i).Kill();
    fleet.Run(absl::Seconds(50));
    figures.down = fleet.Measure(absl::Seconds(10), absl::Seconds(60));
  }
  options.load = 0.9;
  Simulation fleet(options);
  fleet.SetFirstShare(1.5 / 1.8);
  fleet.Run(absl::Seconds(60));
  figures.uneven = fleet.Measure(absl::Seconds(5), absl::Seconds(60));
  return figures;
}

}  // namespace torchfleet::simulation
