// Libraries of a tree find certificates, plugins and data of it by environment variables. This code is linked into each program that uses such a
// library. It sets the variables before `main`, to what is in the runfiles. Variables that are set already stay, and lists get a further entry.
// Without the runfiles nothing is set: the libraries then use what the system has.
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

struct variable {
  const char *name, *path;
  int is_list;
  // The variable is not set if one of these is, whose names are separated by blanks.
  const char *unless;
};

// What is between the signs comes from the facts of the tree.
static const struct variable variables[] = {
@VARIABLES@
};
static const char repository[] = "@REPOSITORY@";

enum { COUNT = sizeof variables / sizeof *variables };

// Whether the tree is in the directory that the first `n` characters of `start` and `middle` name. `root` becomes its path.
static int is_here(char *root, const char *start, size_t n, const char *middle) {
  static char probe[PATH_MAX];
  const char *directory = "";
  static char here[PATH_MAX];
  if (*start != '/') {
    if (!getcwd(here, sizeof here)) return 0;
    directory = here;
  }
  int length = snprintf(root, PATH_MAX, "%s%s%.*s%s/%s", directory, *directory ? "/" : "", (int)n, start, middle, repository);
  if (length < 0 || length >= PATH_MAX) return 0;
  length = snprintf(probe, sizeof probe, "%s/%s", root, variables[0].path);
  return length > 0 && length < PATH_MAX && access(probe, F_OK) == 0;
}

// Searches from the path of a program: its runfiles, those of which it is a part, and the inputs of an action.
static int is_of(char *root, const char *program) {
  static const char tail[] = ".runfiles";
  size_t n = strlen(program);
  if (is_here(root, program, n, tail)) return 1;
  for (size_t at = n; at > 0; at--)
    if (program[at] == '/' && at >= sizeof tail && !strncmp(program + at - strlen(tail), tail, strlen(tail)) && is_here(root, program, at, "")) return 1;
  for (size_t at = n; at > 0; at--)
    if (program[at] == '/' && is_here(root, program, at, "/external")) return 1;
  return 0;
}

static int find(char *root) {
  static const char *const named[] = {"RUNFILES_DIR", "TEST_SRCDIR"};
  for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
    const char *dir = getenv(named[i]);
    if (dir && *dir && is_here(root, dir, strlen(dir), "")) return 1;
  }
  const char *called = (const char *)getauxval(AT_EXECFN);
  if (called && is_of(root, called)) return 1;
  static char program[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
  if (n > 0 && is_of(root, program)) return 1;
  // A worker may have the tree only among the inputs of the action, above the working directory.
  return getcwd(program, sizeof program - 2) && is_of(root, strcat(program, "/."));
}

static int is_set(const char *names) {
  char name[64];
  while (*names) {
    size_t n = strcspn(names, " ");
    snprintf(name, sizeof name, "%.*s", (int)n, names);
    const char *value = getenv(name);
    if (value && *value) return 1;
    names += n + (names[n] == ' ');
  }
  return 0;
}

// Whether a list has an entry.
static int has(const char *list, const char *entry) {
  size_t n = strlen(entry);
  for (; list; list = strchr(list, ':') ? strchr(list, ':') + 1 : 0)
    if (!strncmp(list, entry, n) && (list[n] == ':' || !list[n])) return 1;
  return 0;
}

__attribute__((constructor)) static void cotter_environment(void) {
  static char root[PATH_MAX], value[PATH_MAX];
  int is_refused[COUNT];
  if (!find(root)) return;
  // What belongs together is judged before any of it is set.
  for (int i = 0; i < COUNT; i++) is_refused[i] = is_set(variables[i].unless);
  for (int i = 0; i < COUNT; i++) {
    const struct variable *v = &variables[i];
    const char *old = getenv(v->name);
    int length = snprintf(value, sizeof value, "%s/%s", root, v->path);
    if (is_refused[i] || length < 0 || length >= PATH_MAX) continue;
    if (!old || !*old) {
      setenv(v->name, value, 1);
    } else if (v->is_list && !has(old, value)) {
      char *both = 0;
      if (asprintf(&both, "%s:%s", value, old) > 0) setenv(v->name, both, 1);
      free(both);
    }
  }
}
