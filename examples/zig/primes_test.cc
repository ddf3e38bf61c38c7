#include <cstdlib>

#include "primes.h"

int main() {
  if (primes(10) != std::vector<int>{2, 3, 5, 7}) std::abort();
}
