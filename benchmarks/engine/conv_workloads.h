// Convolutional networks of the benchmarks.
#pragma once

#include "engine/nn/network_spec.h"

namespace beamline::engine {

// LeNet-5 with ReLU and maximum pooling (LeCun et al. 1998): rows of 28 x 28 x 1 features, 10
// classes, Adam, batches of 64.
NetworkSpec Lenet5();

// ResNet-20 for 32 x 32 x 3 features (He et al. 2016) with projections where the shape changes: 10
// classes, momentum with weight decay, batches of 128.
NetworkSpec Resnet20();

}  // namespace beamline::engine
