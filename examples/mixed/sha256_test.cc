#include <iostream>

#include "sha256.h"

int main() {
  // FIPS 180-2, appendix B.1.
  const std::string want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const std::string got = sha256("abc");
  if (got != want) {
    std::cerr << "expected " << want << ", got " << got << "\n";
    return 1;
  }
}
