// Compresses standard input to standard output.
#include <iostream>
#include <iterator>

#include "squeeze.h"

int main() { std::cout << squeeze(std::string(std::istreambuf_iterator<char>(std::cin), {})); }
