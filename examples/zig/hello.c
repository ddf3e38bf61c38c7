#include <stdio.h>

int main(void) {
  puts("made by Zig");
  return 0;
}
