#pragma once
// What befalls a fleet, and the figures that come of it.

#include <string>

#include "tests/simulation/simulation.h"

namespace torchfleet::simulation {

// One of the workers takes five times as long, from the beginning.
Figures OneSlow(FleetOptions options);
// One of three is killed every two seconds and back after one.
Figures KilledAgainAndAgain(FleetOptions options);

// One worker is frozen for ten seconds.
struct Frozen {
  Figures before, at_once, soon, later;
};
Frozen OneFrozen(FleetOptions options);

// Two of a hundred calls take twenty times as long.
Figures Stragglers(FleetOptions options);
// All workers are dead.
Figures AllDown(FleetOptions options);

// Three times as many calls as can be answered, for a minute.
struct Overload {
  Figures normal, overload, after;
};
Overload ThreeTimes(FleetOptions options);

// Two zones, each with a gateway and half of the workers.
struct Zones {
  // As many calls in both; one zone's workers dead; half as many again in one zone as
  // its workers can answer, and a fifth of that in the other.
  Figures even, down, uneven;
};
Zones TwoZones(FleetOptions options);

}  // namespace torchfleet::simulation
