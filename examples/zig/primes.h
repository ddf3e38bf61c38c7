#pragma once

#include <vector>

// The prime numbers up to `most`.
std::vector<int> primes(int most);
