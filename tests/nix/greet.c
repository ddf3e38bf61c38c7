#include <stdio.h>
#include <string.h>
const char *greet(void) {
  static char line[200];
  FILE *f = fopen(WORDS, "r");
  if (!f || !fgets(line, sizeof line, f)) return "no words";
  fclose(f);
  line[strcspn(line, "\n")] = 0;
  return line;
}
