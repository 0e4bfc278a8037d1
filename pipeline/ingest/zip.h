// ZIP archives (PKWARE's APPNOTE 6.3), as NumPy's savez writes them. Internal to ingesting.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/data/npy.h"
#include "engine/data/value_store.h"
#include "pipeline/ingest/decompress.h"

namespace beamline::pipeline {

// The arrays of an NPZ file: its entries NAME.npy, in the order of the archive. Stored or
// deflated; ZIP64 too. Throws Error, naming the entry, if the archive is damaged, encrypted,
// split, compressed in another way, has other entries or a name twice; LimitError if the entries
// together are larger than `limit` allows. Stored ones are parts of `bytes`, which must outlive
// them; others lie in stores that `store` makes, or without it in memory.
std::vector<engine::data::NamedArray> ReadNpz(std::string_view bytes, const ExpansionLimit& limit,
                                              const engine::data::ValueStoreFactory& store = {});

}  // namespace beamline::pipeline
