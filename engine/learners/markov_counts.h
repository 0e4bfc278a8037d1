// How often codes follow others: what a Markov chain learns.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/core/thread_pool.h"
#include "engine/learners/row_reader.h"

namespace beamline::engine {

// Contexts and followers as markov_chain.h has them, of all lengths up to an order.
struct MarkovCounts {
  struct Follower {
    int64_t key;  // context * vocabulary + code
    double count;
  };
  std::vector<int64_t> contexts;
  std::vector<Follower> followers;
};

// Counts the codes of all rows, each with its row's weight. `check` is called with each block of
// rows before it is used, and throws Error if it cannot be. The same bits for any number of
// threads.
MarkovCounts CountCodes(const BatchSource& source, int64_t vocabulary, int64_t order,
                        const std::function<void(const RowBlock&)>& check, ThreadPool* pool);

// What that takes, beside what it gives. Unit: bytes.
int64_t MarkovCountBytes(const BatchLayout& layout, int64_t rows);

}  // namespace beamline::engine
