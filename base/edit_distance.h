// "Did you mean": the nearest of some known names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace beamline {

// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal
// string alignment distance; Boytsov 2011, section 2). O(|a| |b|).
int EditDistance(std::string_view a, std::string_view b);

// The candidate nearest to `word`, if it is near enough to be meant (a third of its length, at
// least 1, at most 3 edits); else empty. The first one wins a tie.
std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace beamline
