// What a program finds in its folder before it starts: docs/command.md has the contract.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "beamline/v1/learners.pb.h"
#include "engine/data/table.h"
#include "google/protobuf/struct.pb.h"

namespace beamline::pipeline {

// Names in the folder that are the service's, so that no file of the program's may have them.
bool IsReservedName(const std::string& name);

// The program's own files, those that a script needs beside it; may be executed. Throws
// engine::Error if the disk is full.
void WriteProgramFiles(const v1::Program& program, const std::string& folder);

// The arguments with the folder in place of "{work}".
std::vector<std::string> ArgumentsOf(const v1::Program& program, const std::string& folder);

// parameters.json: the program's numbers and texts, and `more`.
void WriteParameters(const v1::Program& program, const google::protobuf::Struct& more,
                     const std::string& folder);

// PATH.csv with the plain columns (RFC 4180, a header; the shortest decimals that read back as the
// same numbers; nothing where a value is missing), and PATH.COLUMN.npy for each column of arrays
// (NumPy's format 1.0). Throws engine::Error if it cannot be written.
void WriteInput(const engine::data::Table& table, const std::string& path);

}  // namespace beamline::pipeline
