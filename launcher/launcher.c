// The launcher takes the place of a dynamically linked executable, and starts the executable with the dynamic loader and the libraries of
// its own tree, wherever the tree is located. It is linked statically, without a libc, at a fixed address. cotter copies it and writes its
// instructions into `config`.
//
// The instructions are a sequence of strings that ends with an empty string. The first character of a string is its type. In the remaining
// characters, %R stands for the root of the tree:
//   uN      the root is N directories above the directory of this program
//   lPATH   the dynamic loader, below the root; without it, the target is started directly
//   pPATH   a library directory below the root; may occur several times
//   tPATH   the program to start, below the root
//   rPATH   a library that the loader preloads, relative to the directory of the program to start
//   nf      argv[0] is a path that leads to this program: found through PATH if necessary, otherwise this program's own path
//   nPATH   argv[0] is this path below the root (without nf and nPATH, argv[0] is passed on unchanged)
//   aARG    an argument that precedes the user's
//   wARG    the same, if the variable COTTER_RUNTIME has the value `runtime` and what is linked may need libraries at run time
//   yARG    the same, if the program that is linked asks for the loader of this tree
//   zARG    the same as y, but the argument follows the user's
//   xARG    the same as w, if a compiler is to link with another linker than those of the type q
//   qNAME   a linker of this tree, as -fuse-ld= names it
//   mTEXT   what is made is for the platform of this tree if its name or its emulation contains this text
//   oTEXT   a linker of libraries only if argv[0] ends with this text; may occur several times
//   LARG    an argument that follows the user's, for each tree in COTTER_LIBRARIES; %L stands for that tree
//   dNAME   an environment variable to unset; NAME* unsets all variables whose name begins with NAME
//   kNAME   an environment variable to keep although one of the patterns before it unsets it
//   eN=V    an environment variable to set
//   EN=V    an environment variable to set unless it is already set
//   cN=V    an environment variable to set if an argument of the user begins with a text of the type i, and to unset otherwise
//   iTEXT   the beginning of such an argument; may occur several times
//   PPATH   a directory below the root that PATH gets as its last one, unless it has it already or is not set
//   vNAME   a variable that lists directories of libraries behind those of the tree; without it, the file .cotter-libraries lists them above the
//           directory of argv[0], as in a virtual environment
//   sNAME   an environment variable to keep although a pattern unsets it, if all paths in its value lie in the tree, and to unset otherwise
//   #TEXT   nothing: a mark that differs with the tree
// The type v is only known to the launchers of interpreters. The types w, y, z, x, q, m and o are only known to the launchers of linkers and to those of compilers that start a linker by themselves. If
// what is made is for another platform, or for a system that --sysroot names, it gets neither the libraries of the compiler nor those of
// other trees.
//
// The launchers of closures of Nix know the type s. In the environment and in argv[0], they replace paths of the closure with those of the tree,
// because wrappers pass such paths on, and libc reads some of these variables itself. The directories of the tree in LD_LIBRARY_PATH precede those
// of the type p.
#include "sys.h"

// The launchers of linkers and of interpreters are other programs, made from the same text with LINKER or INTERPRETER defined.
#ifdef LINKER
#define MAY_BE_ARGUMENT(c) (*(c) == 'a' || *(c) == 'w' || *(c) == 'x' || *(c) == 'y' || *(c) == 'z')
#define IS_ARGUMENT(c) (*(c) == 'a' || (*(c) == 'w' && with_runtime) || (*(c) == 'x' && with_runtime && other_linker) || (*(c) == 'y' && with_libc))
#else
#define MAY_BE_ARGUMENT(c) (*(c) == 'a')
#define IS_ARGUMENT(c) (*(c) == 'a')
#endif

enum { CONFIG = 4096, ARENA = 4 << 20 };

__attribute__((used, section(".config"), aligned(16))) static const char config[CONFIG] = "cotter-launch-1";
static char arena[ARENA];
static word used;
static const char *root;
static word root_length;

static char *take(word n) {
  if (n > ARENA - used) complain("start", "a program: its command line is too long");
  char *p = arena + used;
  used += n;
  return p;
}

static char *join3(const char *a, word na, const char *b, word nb, const char *c) {
  word nc = length(c);
  char *out = take(na + nb + nc + 1), *p = out;
  for (word i = 0; i < na; i++) *p++ = a[i];
  for (word i = 0; i < nb; i++) *p++ = b[i];
  for (word i = 0; i <= nc; i++) *p++ = c[i];
  return out;
}

static char *below_root(const char *path) { return join3(root, root_length, "/", 1, path); }

// Replaces every %<letter> with `value`.
static char *expand(const char *text, char letter, const char *value, word value_length) {
  for (const char *p = text; *p; p++)
    if (p[0] == '%' && p[1] == letter) {
      char *tail = expand(p + 2, letter, value, value_length);
      return join3(text, p - text, value, value_length, tail);
    }
  return (char *)text;
}

// Whether `path` leads to the running program (`self`).
static int leads_to(const char *path, const char *self) {
  long fd = call(NR_OPENAT, AT_FDCWD, path, O_PATH_CLOEXEC);
  if (fd < 0) return 0;
  char name[32] = "/proc/self/fd/", target[4096];
  word i = 14, digits = 1;
  for (long n = fd; n >= 10; n /= 10) digits++;
  for (long n = fd, at = i + digits - 1; at >= (long)i; n /= 10, at--) name[at] = '0' + n % 10;
  name[i + digits] = 0;
  long n = call6(NR_READLINKAT, AT_FDCWD, (long)name, (long)target, sizeof target - 1, 0, 0);
  call(NR_CLOSE, fd, 0, 0);
  if (n <= 0) return 0;
  target[n] = 0;
  return same(target, self);
}

static int begins(const char *text, const char *beginning) {
  while (*beginning && *text == *beginning) text++, beginning++;
  return !*beginning;
}

static const char *variable(char **env, const char *name) {
  for (; *env; env++)
    if (is_variable(*env, name)) return *env + length(name) + 1;
  return 0;
}

// Returns PATH=... with `directory` as its last one.
static char *with_directory(char *path, const char *directory) {
  word n = length(directory);
  for (const char *p = path + 5; *p;) {
    word k = 0;
    while (p[k] && p[k] != ':' && p[k] == directory[k]) k++;
    if (k == n && (!p[k] || p[k] == ':')) return path;
    while (*p && *p != ':') p++;
    if (*p) p++;
  }
  return join3(path, length(path), ":", path[5] ? 1 : 0, directory);
}

static const char *find_self(const char *argv0, const char *self, char **env) {
  int slash = 0;
  for (const char *p = argv0; *p; p++) slash |= *p == '/';
  if (slash) return leads_to(argv0, self) ? argv0 : self;
  const char *path = variable(env, "PATH");
  while (path && *argv0) {
    const char *end = path;
    while (*end && *end != ':') end++;
    word mark = used;
    char *candidate = end == path ? join3("./", 2, "", 0, argv0) : join3(path, end - path, "/", 1, argv0);
    if (leads_to(candidate, self)) return candidate;
    used = mark;
    if (!*end) break;
    path = end + 1;
  }
  return self;
}

#ifdef CLOSURE
static int separates(char c) { return c == ':' || c == ' ' || c == '=' || c == ';' || c == ',' || c == '"' || c == '\''; }

// The length of the name of a directory of the closure at `text`, /nix/store/NAME, if the tree has it; 0 otherwise.
static word of_closure(const char *text) {
  if (!begins(text, "/nix/store/")) return 0;
  word n = 11, mark = used;
  while (text[n] && text[n] != '/' && !separates(text[n])) n++;
  char *name = join3(root, root_length, text, n, "");
  long fd = n > 11 ? call(NR_OPENAT, AT_FDCWD, name, O_PATH_CLOEXEC) : -1;
  used = mark;
  if (fd < 0) return 0;
  call(NR_CLOSE, fd, 0, 0);
  return n;
}

// Replaces the paths of the closure in `text` with those of the tree.
static char *settled(char *text) {
  word found = 0;
  for (char *p = text; *p; p++) found += *p == '/' && (p == text || separates(p[-1])) && of_closure(p);
  if (!found) return text;
  char *out = take(length(text) + found * root_length + 1), *to = out;
  for (char *p = text; *p; *to++ = *p++)
    if (*p == '/' && (p == text || separates(p[-1])) && of_closure(p))
      for (word i = 0; i < root_length; i++) *to++ = root[i];
  *to = 0;
  return out;
}

static int in_tree(const char *path) {
  for (word i = 0; i < root_length; i++)
    if (path[i] != root[i]) return 0;
  return begins(path + root_length, "/nix/store/");
}

// Whether all paths in the value of a variable lie in the tree.
static int all_in_tree(const char *entry) {
  while (*entry && *entry != '=') entry++;
  int any = 0;
  while (*entry) {
    entry++;
    if (*entry && *entry != ':' && *entry != ' ') {
      if (!in_tree(entry)) return 0;
      any = 1;
      entry += root_length;
    }
    while (*entry && *entry != ':' && *entry != ' ') entry++;
  }
  return any;
}

// Puts the directories of the tree in `list`, which colons separate, before `path`.
static char *with_own(const char *list, char *path) {
  while (list && *list) {
    word n = 0;
    // The path of the tree may contain a colon.
    if (in_tree(list)) n = root_length;
    word own = n;
    while (list[n] && list[n] != ':') n++;
    char *rest = with_own(list[n] ? list + n + 1 : 0, path);
    if (!own) return rest;
    return rest ? join3(list, n, ":", 1, rest) : join3(list, n, "", 0, "");
  }
  return path;
}
#endif

#ifdef LINKER
static int ends(const char *text, const char *end) {
  word n = length(text), k = length(end);
  return n >= k && same(text + n - k, end);
}

static int contains(const char *text, const char *part) {
  while (*text && !begins(text, part)) text++;
  return *text != 0;
}

// The value of an option that is written as `NAME=VALUE` or as two arguments; 0 if the argument is another one.
static const char *value(char **arg, const char *name) {
  if (same(*arg, name)) return arg[1];
  return begins(*arg, name) && (*arg)[length(name)] == '=' ? *arg + length(name) + 1 : 0;
}

static int is_root(const char *path) {
  word n = length(path);
  while (n > 1 && path[n - 1] == '/') n--;
  for (word i = 0; i < n; i++)
    if (i >= root_length || path[i] != root[i]) return 0;
  return n == root_length;
}

// Whether a directory is the tree of another compiler in the same store, and not a mere sysroot.
static int is_compiler(const char *path) {
  word parent = root_length;
  while (parent && root[parent - 1] != '/') parent--;
  for (word i = 0; i < parent; i++)
    if (path[i] != root[i]) return 0;
  long fd = call(NR_OPENAT, AT_FDCWD, join3(path, length(path), "/bin/", 5, "cc"), O_PATH_CLOEXEC);
  if (fd >= 0) call(NR_CLOSE, fd, 0, 0);
  return parent && fd >= 0;
}
#endif

#ifdef INTERPRETER
// The first line of the file .cotter-libraries in the directory above that of a program.
static const char *libraries_of_environment(const char *program) {
  static char text[4096];
  word end = length(program);
  while (end && program[end - 1] != '/') end--;
  if (!end) return 0;
  long fd = call(NR_OPENAT, AT_FDCWD, join3(program, end, "../", 3, ".cotter-libraries"), O_RDONLY_CLOEXEC);
  if (fd < 0) return 0;
  long n = call6(NR_PREAD, fd, (long)text, sizeof text - 1, 0, 0, 0);
  call(NR_CLOSE, fd, 0, 0);
  for (long i = 0; i < n; i++)
    if (text[i] == '\n') n = i;
  text[n > 0 ? n : 0] = 0;
  return text;
}
#endif

__attribute__((used)) void launch(word *stack) {
  word argc = stack[0];
  char **argv = (char **)(stack + 1), **env = argv + argc + 1;
  word count = 0;
  while (env[count]) count++;

  static char self[4096];
  long n = call6(NR_READLINKAT, AT_FDCWD, (long)"/proc/self/exe", (long)self, sizeof self - 1, 0, 0);
  if (n <= 0) {
    // Without /proc, the path that was passed to the kernel (AT_EXECFN) is the best alternative.
    n = 0;
    for (word *aux = (word *)(env + count + 1); aux[0]; aux += 2)
      if (aux[0] == 31)
        for (const char *from = (const char *)aux[1]; from[n] && n < 4095; n++) self[n] = from[n];
  }
  self[n] = 0;

  const char *first = config + 16;
  __asm__("" : "+r"(first));  // cotter changes these bytes after the compilation
  const char *loader = 0, *target = "", *argv0 = argc ? argv[0] : "";
  word injected = 0, per_library = 0, sets = 0;
  int asked = 0;
  root = self;
  for (const char *c = first; *c; c += length(c) + 1) {
    if (*c == 'u') {
      root_length = n;
      for (int up = c[1] - '0'; up >= 0; up--) {
        while (root_length > 0 && self[root_length - 1] != '/') root_length--;
        if (root_length > 0) root_length--;
      }
    }
    injected += MAY_BE_ARGUMENT(c);
    per_library += *c == 'L';
    sets += *c == 'e' || *c == 'E' || *c == 'c';
    if (*c == 'i')
      for (word i = 1; i < argc; i++) asked |= begins(argv[i], c + 1);
  }
#ifdef CLOSURE
  if (begins(argv0, "/nix/store/")) argv0 = settled((char *)argv0);
#endif
  const char *libraries = per_library ? variable(env, "COTTER_LIBRARIES") : 0;
#ifdef LINKER
  const char *runtime = variable(env, "COTTER_RUNTIME"), *sysroot = 0;
  int with_runtime = runtime && same(runtime, "runtime"), with_libc = 0, other_linker = 0, is_compiled = 0, is_static = 0, is_dynamic = 0, named = 0, names = 0;
  for (word i = 1; i < argc; i++) {
    // The start code of a static program that can be loaded anywhere fails if the program has a search path.
    is_static |= same(argv[i], "-static") || same(argv[i], "-static-pie") || same(argv[i], "--no-dynamic-linker") || same(argv[i], "-r");
    // For linkers, -static says which libraries follow: those after it, up to -Bdynamic, are static.
    is_dynamic |= value(argv + i, "-dynamic-linker") || value(argv + i, "--dynamic-linker");
    if (i > 1 && same(argv[i - 1], "-dynamic-linker")) {
      word k = 0;
      while (k < root_length && argv[i][k] == root[k]) k++;
      with_libc = k == root_length && argv[i][k] == '/';
    }
    const char *at = value(argv + i, "--sysroot");
    if (at) sysroot = at;
    // `mold -run` starts another program.
    if (i == 1 && (same(argv[i], "-run") || same(argv[i], "--run"))) libraries = 0;
    const char *linker = value(argv + i, "-fuse-ld");
    if (linker) other_linker = 1;
    if (begins(argv[i], "--ld-path=")) other_linker = 1, linker = 0;
    const char *platform = value(argv + i, "--target");
    if (!platform) platform = value(argv + i, "-target");
    if (!platform && same(argv[i], "-m")) platform = argv[i + 1];
    for (const char *c = first; *c; c += length(c) + 1) {
      if (*c == 'q' && linker && same(linker, c + 1)) other_linker = 0;
      if (*c == 'm' && platform && !contains(platform, c + 1)) with_runtime = 0, libraries = 0;
    }
  }
  for (const char *c = first; *c; c += length(c) + 1) {
    is_compiled |= *c == 'x';
    if (*c == 'o') names = 1, named |= ends(argv0, c + 1);
  }
  if (sysroot && !is_root(sysroot)) {
    with_runtime = 0;
    if (libraries && !is_compiler(sysroot)) libraries = 0;
  }
  if (is_dynamic) is_static = 0;
  if (is_static) with_runtime = 0;
  // A compiler tells the linker where the libraries are.
  if ((is_static && !is_compiled) || (names && !named)) libraries = 0;
#endif
  word trees = libraries && *libraries;
  for (const char *p = libraries; p && *p; p++) trees += *p == ':';

  // The loader, its options, the target, the user's arguments, our own arguments, and the end.
  char **out = (char **)(((word)take((argc + injected + per_library * trees + 10) * sizeof *out + 16) + 15) & ~15ul);
  char **out_env = (char **)(((word)take((count + sets + 1) * sizeof *out + 16) + 15) & ~15ul);
  char **arg = out, **var = out_env;

  for (word i = 0; i < count; i++) {
    int keep = 1;
    for (const char *c = first; *c; c += length(c) + 1) {
      if (*c == 'd' && is_variable(env[i], c + 1)) keep = 0;
      if (*c == 'k' && is_variable(env[i], c + 1)) keep = 1;
      if (*c == 'e' || *c == 'c') {
        word k = 0;
        while (c[1 + k] != '=' && c[1 + k] == env[i][k]) k++;
        if (c[1 + k] == '=' && env[i][k] == '=') keep = 0;
      }
    }
#ifdef CLOSURE
    env[i] = settled(env[i]);
    for (const char *c = first; *c; c += length(c) + 1)
      if (*c == 's' && is_variable(env[i], c + 1)) keep = all_in_tree(env[i]);
#endif
    if (!keep) continue;
    *var++ = env[i];
    for (const char *c = first; *c; c += length(c) + 1)
      if (*c == 'P' && is_variable(env[i], "PATH")) var[-1] = with_directory(env[i], below_root(c + 1));
  }
  char *library_path = 0, *preload = 0;
#ifdef INTERPRETER
  const char *more = 0;
#endif
  for (const char *c = first; *c; c += length(c) + 1) switch (*c) {
      case 'l': loader = below_root(c + 1); break;
      // The loader separates names with spaces and colons, which the path of the tree may contain, so it must expand $ORIGIN itself.
      case 'r': preload = join3("$ORIGIN", 7, "/", 1, c + 1); break;
      case 't': target = below_root(c + 1); break;
      case 'p': {
        char *dir = below_root(c + 1);
        library_path = library_path ? join3(library_path, length(library_path), ":", 1, dir) : dir;
        break;
      }
      case 'n': argv0 = same(c + 1, "f") ? find_self(argv0, self, env) : below_root(c + 1); break;
      case 'E': {
        word k = 0;
        int there = 0;
        while (c[1 + k] != '=') k++;
        for (word i = 0; i < count && !there; i++) {
          word j = 0;
          while (j <= k && env[i][j] == c[1 + j]) j++;
          there = j > k;
        }
        if (there) break;
      }  // fall through
      case 'e': *var++ = expand(c + 1, 'R', root, root_length); break;
#ifdef INTERPRETER
      case 'v': more = c + 1; break;
#endif
      case 'c':
        if (asked) *var++ = expand(c + 1, 'R', root, root_length);
        break;
    }
  *var = 0;
#ifdef INTERPRETER
  if (more) {
    const char *listed = variable(env, more);
    if (!listed || !*listed) listed = libraries_of_environment(argv0);
    if (listed && *listed) library_path = join3(library_path ? library_path : "", library_path ? length(library_path) : 0, ":", 1, listed);
  }
#endif
#ifdef CLOSURE
  library_path = with_own(variable(out_env, "LD_LIBRARY_PATH"), library_path);
#endif

  if (loader) {
    *arg++ = loader ? (char *)loader : 0;
    *arg++ = "--inhibit-cache";
    *arg++ = "--library-path";
    *arg++ = library_path ? library_path : "";
    if (preload) {
      *arg++ = "--preload";
      *arg++ = preload;
    }
    *arg++ = "--argv0";
  }
  *arg++ = (char *)argv0;
  if (loader) *arg++ = (char *)target;
  for (const char *c = first; *c; c += length(c) + 1)
    if (IS_ARGUMENT(c)) *arg++ = expand(c + 1, 'R', root, root_length);
  for (word i = 1; i < argc; i++) *arg++ = argv[i];
#ifdef LINKER
  for (const char *c = first; *c; c += length(c) + 1)
    if (*c == 'z' && with_libc) *arg++ = expand(c + 1, 'R', root, root_length);
#endif
  for (const char *tree = libraries; trees; trees--) {
    const char *end = tree;
    while (*end && *end != ':') end++;
    if (end > tree)
      for (const char *c = first; *c; c += length(c) + 1)
        if (*c == 'L') *arg++ = expand(c + 1, 'L', tree, end - tree);
    tree = end + 1;
  }
  *arg = 0;

  const char *program = loader ? loader : target;
  call(NR_EXECVE, program, out, out_env);
  complain("start", program);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call launch\n  hlt\n");
#else
__asm__(".globl _start\n_start:\n  mov x29, xzr\n  mov x30, xzr\n  mov x0, sp\n  b launch\n");
#endif
