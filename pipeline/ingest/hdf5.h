// HDF5 files (The HDF Group's File Format Specification, version 3), as h5py and PyTables write
// them by default: superblock 0, symbol tables, object headers 1. Internal to ingesting.
//
// The format is read here and not by libhdf5, because files come from strangers: nothing in one
// leads out of its bytes, to another file or to a plugin.
#pragma once

#include <string_view>

#include "engine/data/table.h"
#include "engine/data/workspace.h"
#include "pipeline/ingest/decompress.h"

namespace beamline::pipeline {

// Each dataset "group/name" with rows becomes a column, in the order of the names; all must have as
// many rows. Scalars are left out. Numbers as of NPY (engine/data/npy.h); enumerations of FALSE and
// TRUE are bool; texts, of fixed or variable length, in one dimension, categorical. Contiguous,
// compact or in chunks, plain or with the filters shuffle, deflate and fletcher32. Throws Error,
// naming the dataset where there is one, for all else: links to other places, compound types, other
// filters, newer forms of the format, damage. LimitError if the values are more than `limit`
// allows. Values are arrays of `workspace`, but for texts, which are in memory.
engine::data::Table ReadHdf5(std::string_view bytes, const ExpansionLimit& limit,
                             engine::data::Workspace& workspace);

bool IsHdf5(std::string_view head);

}  // namespace beamline::pipeline
