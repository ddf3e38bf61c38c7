#pragma once
#include <string>

// The SHA-256 of some bytes in hexadecimal.
std::string sha256(const std::string &data);
