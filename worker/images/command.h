// "beamline-worker image ...": what an operator does with images on a worker's machine.
#pragma once

#include <string>
#include <vector>

namespace beamline::worker {

// `args` behind "image". Prints what it did, or on standard error what is wrong. The exit code: 0,
// 1 if it could not be done, 2 if it was not understood.
int RunImageCommand(const std::vector<std::string>& args);

}  // namespace beamline::worker
