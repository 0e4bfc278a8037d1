// A folder as one file and back: tar (POSIX.1-1988 "ustar"), which any tar reads.
#pragma once

#include <cstdint>
#include <string>

namespace beamline::pipeline {

struct ArchiveLimits {
  int64_t bytes = int64_t{4} << 30;
  int64_t files = 10'000;
};

// Writes `folder`, whose files are called `name`/..., to `path`. `first`: bytes of a file
// `first_name` that comes before them; none if the name is empty. The archive is a function of
// names and contents: in ascending order, without times and owners; whether a file may be executed
// is kept. Throws engine::Error for what is neither file nor folder (links are not followed), a
// name of more than 100 bytes and folders of more than 150, or more than the limits; and if files
// cannot be read or written. Returns how many files of the folder it holds.
int64_t PackFolder(const std::string& folder, const std::string& name, const std::string& path,
                   const ArchiveLimits& limits, const std::string& first_name = "",
                   const std::string& first = "");

// Makes the files that `path`, an archive of PackFolder, holds of `name` in `folder`, which exists.
// Throws engine::Error for anything that PackFolder would not have written.
void UnpackFolder(const std::string& path, const std::string& name, const std::string& folder);

// The content of the first file, if it is called `name`; nothing below if it is not, or no archive.
std::string FirstFile(const std::string& path, const std::string& name);

}  // namespace beamline::pipeline
