#include <stdlib.h>
#include <unistd.h>
// What python3.withPackages generates, by hand. The interpreter finds its modules by its own name.
int main(int argc, char **argv) {
  (void)argc;
  setenv("NIX_PYTHONPREFIX", OUT, 1);
  setenv("NIX_PYTHONEXECUTABLE", OUT "/bin/python3.11", 1);
  setenv("NIX_PYTHONPATH", OUT "/lib/python3.11/site-packages", 1);
  setenv("PYTHONPATH", OUT "/lib/python3.11/site-packages", 1);
  setenv("PYTHONNOUSERSITE", "true", 1);
  return execv(PYTHON, argv);
}
