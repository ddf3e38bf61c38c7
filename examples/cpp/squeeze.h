#pragma once
#include <string>

// Compresses `data` in zlib's format (RFC 1950). Throws std::runtime_error if zlib fails.
std::string squeeze(const std::string &data);

// The reverse. `size` is the length of what comes out.
std::string unsqueeze(const std::string &data, std::size_t size);
