#include <iostream>
#include <stdexcept>

#include "squeeze.h"

int main() {
  const std::string text(10'000, 'x');
  const std::string small = squeeze(text);
  if (small.size() > 100 || unsqueeze(small, text.size()) != text) {
    std::cerr << "10000 bytes became " << small.size() << "\n";
    return 1;
  }
  try {
    unsqueeze("no zlib stream", 10);
    std::cerr << "nonsense was accepted\n";
    return 1;
  } catch (const std::runtime_error &) {
  }
}
