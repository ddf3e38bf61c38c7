#include <iostream>
#include <iterator>

#include "sha256.h"

int main() {
  std::cout << sha256(std::string(std::istreambuf_iterator<char>(std::cin), {})) << "\n";
}
