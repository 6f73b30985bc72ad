#pragma once
// Which bytes are UTF-8, as the Unicode standard has it: no overlong forms, no
// surrogates, nothing over U+10FFFF.

#include <cstddef>
#include <string_view>

namespace torchfleet {

// Length of the well-formed sequence at the start of `text`, 0 for none.
size_t Utf8Length(std::string_view text);

// Whether all of `text` is well-formed; the empty text is.
bool IsUtf8(std::string_view text);

}  // namespace torchfleet
