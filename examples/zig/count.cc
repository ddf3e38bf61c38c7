#include <iostream>

#include "primes.h"

int main() { std::cout << primes(100).size() << " primes up to 100\n"; }
