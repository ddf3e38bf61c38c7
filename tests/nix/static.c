#include <stdio.h>
int main(void) {
  char line[100];
  FILE *f = fopen(DATA, "r");
  puts(f && fgets(line, sizeof line, f) ? line : "no data");
}
