// The largest absolute eigenvalue of a matrix that need not be symmetric.
#pragma once

#include <cstdint>
#include <functional>

namespace beamline::engine {

// apply(x, y) sets y = A x; both have n elements. By Arnoldi's method with n, at most 300,
// directions, and the QR algorithm on the Hessenberg matrix that it makes (Golub, Van Loan, 7.4 and
// 10.5): exact for n up to 300, else from below, for random matrices within about one percent. One
// thread; the same bits in each call.
double SpectralRadius(int64_t n, const std::function<void(const double* x, double* y)>& apply);

}  // namespace beamline::engine
