// For measuring what takes microseconds. Beside base/clock, which is for all that decides by time.
#pragma once

namespace beamline {

// Unit: seconds since an arbitrary start; never goes back. Thread-safe.
double MonotonicSeconds();

}  // namespace beamline
