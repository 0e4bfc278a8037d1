// A list of records in which each has a hash over itself and the hash before it: whoever knows the
// hash of one can tell whether any record up to it was changed, taken out or put in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace beamline {

// Checks a chain from its first record on. Not thread-safe.
class HashChain {
 public:
  // Stands before the first record: 64 zeros.
  static const std::string kStart;

  // The hash of `record` behind one whose hash is `before`: SHA-256, as 64 hexadecimal digits, over
  // the digits of `before` and the bytes of `record`.
  static std::string Hash(std::string_view before, std::string_view record);

  // `known`: a hash that some record must have; empty: none.
  explicit HashChain(std::string known = "") : known_(std::move(known)) {}

  // Takes the next record. `number`: what the record says that it is; they count from 1.
  // DataLoss, saying what is wrong with which record, if one is missing, or if `hash` is not that
  // of `record` in this place; the chain is then as before.
  absl::Status Take(int64_t number, std::string_view record, std::string_view hash);

  // After the last record. DataLoss if the chain does not end with record `number` and `hash`,
  // which is where its writer says that it ends, or if no record had the known hash.
  absl::Status End(int64_t number, std::string_view hash) const;

  // How many were taken, and the hash of the last.
  int64_t size() const { return size_; }
  const std::string& head() const { return head_; }

 private:
  const std::string known_;
  bool known_seen_ = false;
  int64_t size_ = 0;
  std::string head_ = kStart;
};

}  // namespace beamline
