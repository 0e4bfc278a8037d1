// Recurrent networks that the engine is measured with.
#pragma once

#include "engine/learners/batch_source.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine {

// "lstm-b64": 64 steps of 64 features, 256 units, the last state to 10 classes; Adam, batch 64.
NetworkSpec LstmClassifier();
// 2,048 random rows for it.
MemoryBatch LstmRows();

}  // namespace beamline::engine
