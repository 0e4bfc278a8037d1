#include "base/hash_chain.h"

#include "absl/strings/str_cat.h"
#include "base/digest.h"

namespace beamline {

const std::string HashChain::kStart(64, '0');

std::string HashChain::Hash(std::string_view before, std::string_view record) {
  Sha256 sha;
  sha.Update(before);
  sha.Update(record);
  return sha.Hex();
}

absl::Status HashChain::Take(int64_t number, std::string_view record, std::string_view hash) {
  if (number != size_ + 1) {
    return absl::DataLossError(
        absl::StrCat("entry ", size_ + 1, " is missing: number ", number, " stands in its place"));
  }
  std::string right = Hash(head_, record);
  if (right != hash) {
    return absl::DataLossError(
        absl::StrCat("entry ", number,
                     " is not what was written: its hash does not fit it and the entry before"));
  }
  ++size_;
  head_ = std::move(right);
  known_seen_ = known_seen_ || head_ == known_;
  return absl::OkStatus();
}

absl::Status HashChain::End(int64_t number, std::string_view hash) const {
  if (size_ < number) {
    return absl::DataLossError(absl::StrCat("the end was cut off: there are ", size_,
                                            " entries, and ", number, " were written"));
  }
  if (size_ > number || head_ != hash) {
    return absl::DataLossError(
        absl::StrCat("the end is not what was written: entry ", size_, " is not the last one"));
  }
  if (known_.empty() || known_ == kStart || known_seen_) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("no entry has the hash ", known_, ": entries were cut off or written anew"));
}

}  // namespace beamline
