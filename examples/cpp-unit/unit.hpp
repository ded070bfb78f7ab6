// A unit's side of the conversation with an icv simulation: copy unit.hpp and unit.cpp, write an OnTick, call serve().
//
// The five steps (docs/messages.md, "Over a wire"): say Hello, hear Welcome or Refused, hear Tick, send Answer, until End.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "protocols/v1/unit.pb.h"

namespace icv {

/// The unit cannot take part, or no longer: refused, nobody there, gone away.
class UnitError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// CURVE keys as Z85 text of 40 characters; needed for addresses beyond this machine.
struct Keys {
  std::string server_public, own_public, own_secret;
};

/// Keys of `name` from a folder that `icv keys new` wrote. Throws std::runtime_error.
Keys read_keys(const std::string& folder, const std::string& name);

struct Options {
  std::string name;                 // "rsu/J1", "fleet", ...
  std::string address;              // "tcp://127.0.0.1:5555"
  std::string software;             // what we are, for the log
  std::vector<std::string> topics;  // those we may send on
  Keys keys;                        // empty: no encryption
  double join_s = 60.0;             // how long to look for the simulation
};

using OnWelcome = std::function<void(const v1::Welcome&)>;

/// Fills the answer; its tick number is set already. An untouched answer is an answer.
using OnTick = std::function<void(const v1::Tick&, v1::Answer&)>;

/// Takes part until the run ends and returns its outcome ("pass", "fail", ...). Throws UnitError. What the callbacks throw is told
/// to the simulation, then thrown on.
std::string serve(const Options& options, const OnTick& on_tick, const OnWelcome& on_welcome = {});

/// Puts `message` on the air.
void put_on_air(v1::Answer& answer, const std::string& topic, const google::protobuf::MessageLite& message);

}  // namespace icv
