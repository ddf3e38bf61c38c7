// Built by the pinned compiler: says which one that was.
#include <iostream>
#include <thread>

int main() {
  std::thread([] { std::cout << "hello from C++, by GCC " << __VERSION__ << std::endl; }).join();
}
