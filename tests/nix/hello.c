#include <dlfcn.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
const char *greet(void);
int main(int argc, char **argv) {
  printf("words: %s\n", greet());
  for (int i = 1; i < argc; i++) printf("argument: %s\n", argv[i]);
  void *plug = dlopen(OUT "/lib/plug.so", RTLD_NOW);
  if (!plug) return fprintf(stderr, "%s\n", dlerror()), 1;
  printf("plugin: %s\n", ((const char *(*)(void))dlsym(plug, "plug"))());
  char self[PATH_MAX] = "";
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 2;
  printf("self: %s\n", strrchr(self, '/'));
  const char *locale = setlocale(LC_ALL, "C.UTF-8");
  printf("locale: %s %s\n", locale, nl_langinfo(CODESET));
  fflush(stdout);
  if (system(CAT " " OUT "/share/data")) return 3;
  pid_t child = fork();
  if (!child) {
    execl(OUT "/libexec/helper", "helper", "one", "two", (char *)0);
    _exit(4);
  }
  int status;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}
