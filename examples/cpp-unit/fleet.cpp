// The unit `fleet` of an icv simulation in C++: at 10 Hz, the BSM of all background vehicles that carry an on-board unit.
//
//   fleet-unit --connect tcp://127.0.0.1:5555 [--keys DIR [--key NAME]] [--name fleet] [--join SECONDS]
//
// Exit codes: 0 the run has ended, whatever its outcome; 2 wrong arguments; 3 refused, nobody there, gone away, or a fault here.
#include <algorithm>
#include <iostream>
#include <map>

#include "protocols/v1/bsm.pb.h"
#include "unit.hpp"

namespace {

/// What the vehicles know of themselves becomes what they say: one batch, row for row.
void on_tick(const icv::v1::Tick& tick, icv::v1::Answer& answer) {
  const icv::v1::FleetReading& fleet = tick.readings().fleet();
  if (fleet.station_id().empty()) return;  // not due, or nobody is equipped
  icv::v1::BasicSafetyBatch batch;
  batch.set_t_ns(fleet.t_ns());  // when it was measured, not when it is sent
  *batch.mutable_station_id() = fleet.station_id();
  *batch.mutable_kind() = fleet.kind();
  *batch.mutable_x_m() = fleet.x_m();
  *batch.mutable_y_m() = fleet.y_m();
  *batch.mutable_z_m() = fleet.z_m();
  *batch.mutable_yaw_rad() = fleet.yaw_rad();
  *batch.mutable_speed_mps() = fleet.speed_mps();
  *batch.mutable_accel_mps2() = fleet.accel_mps2();
  *batch.mutable_yaw_rate_radps() = fleet.yaw_rate_radps();
  *batch.mutable_length_m() = fleet.length_m();
  *batch.mutable_width_m() = fleet.width_m();
  *batch.mutable_rear_overhang_m() = fleet.rear_overhang_m();
  *batch.mutable_flags() = fleet.flags();
  icv::put_on_air(answer, "v2x/bsm", batch);
}

int usage(const std::string& what) {
  std::cerr << what << "\nusage: fleet-unit --connect ADDRESS [--keys DIR [--key NAME]] [--name fleet] [--join SECONDS]\n";
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> given{{"--connect", ""}, {"--keys", ""}, {"--key", ""}, {"--name", "fleet"}, {"--join", "60"}};
  for (int i = 1; i < argc; i += 2) {
    if (given.count(argv[i]) == 0) return usage(std::string("unknown option ") + argv[i]);
    if (i + 1 == argc) return usage(std::string(argv[i]) + " needs a value");
    given[argv[i]] = argv[i + 1];
  }
  if (given["--connect"].empty()) return usage("--connect is missing");

  icv::Options options;
  options.name = given["--name"];
  options.address = given["--connect"];
  options.software = "cpp-unit 0.1.0";
  options.topics = {"v2x/bsm"};
  try {
    options.join_s = std::stod(given["--join"]);
  } catch (const std::exception&) {
    return usage("--join " + given["--join"] + ": expected seconds");
  }
  try {
    if (!given["--keys"].empty()) {
      std::string key = given["--key"].empty() ? options.name : given["--key"];
      std::replace(key.begin(), key.end(), '/', '-');
      options.keys = icv::read_keys(given["--keys"], key);
    }
    const std::string outcome = icv::serve(options, on_tick);
    std::cout << options.name << ": the run has ended: " << outcome << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << options.name << ": " << error.what() << '\n';
    return 3;
  }
}
