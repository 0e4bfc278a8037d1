// What clients want of the simulated service, and the state that it begins with.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::sim {

inline constexpr std::array<std::string_view, 2> kProjects = {"optics", "acoustics"};
// The project with index i has one member, an editor.
inline constexpr std::array<std::string_view, 2> kUsers = {"ada", "ben"};
// What running tasks of a project may hold; 0: no bound. Unit: cores.
inline constexpr std::array<double, 2> kMaxCpus = {0, 3};
inline constexpr size_t kWorkers = 3;

// Definitions in YAML that all end well. Their step "fit" leaves the model.
const std::vector<std::string>& Definitions();

// A state folder as an operator leaves it before the first run.
struct InitialState {
  // Project -> its dataset for the input "points".
  std::map<std::string, std::string, std::less<>> datasets;
  // "workers/W".
  std::vector<std::string> workers;
};
// Makes it at `folder`, without faults. Ends the program if that fails.
InitialState MakeInitialState(const std::string& folder);

}  // namespace beamline::sim
