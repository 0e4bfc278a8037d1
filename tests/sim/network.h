// The simulated network between clients, workers and the server.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "tests/sim/world.h"

namespace beamline::sim {

// Loses, delays, and so reorders, messages; may be cut between the server and anybody else.
class Network {
 public:
  explicit Network(World& world) : world_(world) {}

  // A message between `peer` and the server, in either direction.
  void Send(const std::string& peer, World::Task deliver) {
    const int64_t delay = world_.Between(0, world_.faults().max_delay_ms);
    if (IsCut(peer) || world_.Chance(world_.faults().lose)) {
      world_.Count(Fault::kMessageLost);
      return;
    }
    if (delay > 100) world_.Count(Fault::kMessageDelayed);
    world_.After(delay, std::move(deliver));
  }

  void Cut(const std::string& peer) { cut_.insert(peer); }
  void Mend(const std::string& peer) { cut_.erase(peer); }
  void MendAll() { cut_.clear(); }
  bool IsCut(const std::string& peer) const { return cut_.contains(peer); }

 private:
  World& world_;
  std::set<std::string> cut_;
};

}  // namespace beamline::sim
