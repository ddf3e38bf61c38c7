#include "primes.h"

std::vector<int> primes(int most) {
  std::vector<int> out;
  for (int n = 2; n <= most; n++) {
    bool prime = true;
    for (int p : out) prime = prime && n % p != 0;
    if (prime) out.push_back(n);
  }
  return out;
}
