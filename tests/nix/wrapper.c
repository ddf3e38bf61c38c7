#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
// What makeBinaryWrapper generates, by hand.
int main(int argc, char **argv) {
  static char path[10000];
  const char *old = getenv("PATH");
  snprintf(path, sizeof path, "%s%s%s", PREFIX, old ? ":" : "", old ? old : "");
  setenv("PATH", path, 1);
  setenv("HELLO_HOME", OUT "/share", 1);
  argv[0] = OUT "/bin/hello-binary";
  (void)argc;
  return execv(HELLO, argv);
}
