// Characters of texts: their case, and what is a letter.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace beamline::engine::data {

// The character at the start of `text`, which is UTF-8 and not empty; `size` becomes its bytes.
char32_t DecodeCharacter(std::string_view text, size_t* size);
void AppendCharacter(std::string& text, char32_t character);

// Characters in a text of UTF-8.
size_t CountCharacters(std::string_view text);

// One character for one, as Unicode's simple mappings have it: Greek, Cyrillic and Armenian
// letters, and the Latin ones of European languages and Vietnamese; others stay (no "SS" of a sharp
// s).
char32_t ToLower(char32_t character);
char32_t ToUpper(char32_t character);

// White space, as Unicode has it.
bool IsBlank(char32_t character);
// Letters and digits: in ASCII those; beyond it all but white space and the blocks of punctuation,
// currencies, arrows, mathematical and other symbols, and emoji.
bool IsWordCharacter(char32_t character);

}  // namespace beamline::engine::data
