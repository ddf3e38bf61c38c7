// Decides where a path leads. docs/trees.md explains the policy to users.

enum { PATH_MAX = 4096 };

struct state {
  int ready;
  word root_length, store_length;  // the beginnings of `root` that name the tree, and the store that holds it
  char root[PATH_MAX];
  const char *sealed, *sealed_end;    // lines: places that exist only if the tree has them
  const char *machine, *machine_end;  // lines: the configuration of the machine
  const char *pure;                   // the directories outside of the tree that exist with --pure, or 0
  const char *target;                 // the program behind the launcher, `.X.real`, or 0
  int debugs;                         // whether it is a debugger
  int copies;                         // whether it copies files, and so wants the bytes that are there
};
static struct state state;

// How a path was decided.
enum route { PASS, SENT };

static int exists(const char *path) { return call(NR_FACCESSAT, AT_FDCWD, path, 0) == 0; }

static int starts(const char *path, const char *prefix, word n) {
  for (word i = 0; i < n; i++)
    if (path[i] != prefix[i]) return 0;
  return 1;
}

// Whether `path` is the directory `dir` (of n bytes) or below it.
static int below(const char *path, const char *dir, word n) { return starts(path, dir, n) && (!path[n] || path[n] == '/'); }

static char *append(char *to, const char *text) {
  while (*text) *to++ = *text++;
  *to = 0;
  return to;
}

// Writes the absolute `path` to `out` without empty, `.` and `..` components; returns the length. The root becomes the empty string.
static word normalise(const char *path, char *out) {
  word n = 0;
  while (*path) {
    while (*path == '/') path++;
    word k = 0;
    while (path[k] && path[k] != '/') k++;
    if (k == 2 && path[0] == '.' && path[1] == '.') {
      while (n && out[--n] != '/') {
      }
    } else if (k && !(k == 1 && *path == '.')) {
      out[n++] = '/';
      for (word i = 0; i < k; i++) out[n++] = path[i];
    }
    path += k;
  }
  out[n] = 0;
  return n;
}

// Whether `path` is a line of the list, or below one.
static int listed(const char *list, const char *end, const char *path) {
  while (list < end) {
    word n = 0;
    while (list + n < end && list[n] != '\n') n++;
    if (n && below(path, list, n)) return 1;
    list += n + 1;
  }
  return 0;
}

// Compares so that '/' and the end sort before every other byte: the order of the list of sealed places.
static int order(const char *path, const char *line, const char *end) {
  for (;; path++, line++) {
    int p = (unsigned char)*path, l = line == end || *line == '\n' ? 0 : (unsigned char)*line;
    if (!l) return p ? 1 : 0;
    p = p == '/' ? 1 : p, l = l == '/' ? 1 : l;
    if (p != l) return p - l;
  }
}

// No line is below another one, so the only line that can contain `path` is the last one that is not behind it.
static int in_sealed(const char *path) {
  const char *low = state.sealed, *high = state.sealed_end;
  while (low < high) {
    const char *line = low + (high - low) / 2;
    while (line > low && line[-1] != '\n') line--;
    const char *end = line;
    while (end < high && *end != '\n') end++;
    if (below(path, line, end - line)) return 1;
    if (order(path, line, end) > 0)
      low = end + 1;
    else
      high = line;
  }
  return 0;
}

// A program may add the extension to a path that is compiled into it: /etc/magic stands for /etc/magic.mgc, too.
static int is_sealed(char *path) {
  if (in_sealed(path)) return 1;
  char *end = path + length(path);
  while (end > path && *end != '.' && *end != '/') end--;
  if (*end != '.' || end[-1] == '/') return 0;
  *end = 0;
  int sealed = in_sealed(path);
  *end = '.';
  return sealed;
}

// Whether `path` is one of the directories that exist with --pure, below one, or above one.
static int exists_with_pure(const char *path, word n) {
  if (below(state.root, path, n)) return 1;
  for (const char *p = state.pure; *p;) {
    word k = 0;
    while (p[k] && p[k] != ':') k++;
    word dir = k;
    while (dir && p[dir - 1] == '/') dir--;
    if (dir && (below(path, p, dir) || (dir > n && starts(p, path, n) && p[n] == '/'))) return 1;
    p += k + (p[k] == ':');
  }
  return 0;
}

static int directory_is(const char *path, word n, const char *name) { return n == length(name) && starts(path, name, n); }

static const char *last_name(const char *path) {
  const char *name = path;
  for (; *path; path++)
    if (*path == '/') name = path + 1;
  return name;
}

// Whether `path` is a library in a directory of libraries. The process that a debugger examines has those of the host.
static int is_library(const char *path) {
  const char *name = last_name(path);
  return starts(path, "/usr/lib", 8) && (starts(name, "lib", 3) || starts(name, "ld-", 3));
}

static void get_ready(char **argv, char **env);

// The bytes that `redirect` needs for a path. Other objects may open files before the constructor of this one has run.
static word room(const char *path) {
  if (!__atomic_load_n(&state.ready, __ATOMIC_ACQUIRE)) get_ready(0, environ);
  if (!path || *path != '/' || !state.root_length) return 1;
  word n = length(path);
  return n < PATH_MAX ? state.root_length + n + 8 : 1;
}

#ifdef CLOSURE
// Whether `plain`, which follows `root_length` free bytes, is the path of a store of Nix or above one, and the tree has it: /nix, /nix/store, or a
// path in one of the directories of the closure. Such a path never exists outside of the tree.
static int is_of_closure(char *plain) {
  if (same(plain, "/nix") || same(plain, "/nix/store")) return 1;
  if (!starts(plain, "/nix/store/", 11)) return 0;
  word end = 11;
  while (plain[end] && plain[end] != '/') end++;
  char *sent = plain - state.root_length, last = plain[end];
  for (word i = 0; i < state.root_length; i++) sent[i] = state.root[i];
  plain[end] = 0;
  int there = exists(sent);
  plain[end] = last;
  return there;
}
#endif

// Returns where `path` leads: the path itself, or a path in the tree, which is written to `out`. A path that is not in the tree's part of the
// world, or that cannot be read, is passed on.
static const char *redirect(const char *path, char *out, enum route *route) {
  *route = PASS;
  if (room(path) == 1) return path;
  // The root of the tree, four bytes for a missing "/usr", and the path.
  char *plain = out + state.root_length + 4;
  word n = normalise(path, plain);
  word first = 1;
  while (plain[first] && plain[first] != '/') first++;
  if (first > n) return path;
  char *p = plain;
#ifdef CLOSURE
  int ours = is_of_closure(plain);
  if (ours) {
    p = plain;
  } else
#endif
  if (directory_is(plain, first, "/bin") || directory_is(plain, first, "/sbin") || directory_is(plain, first, "/lib") || directory_is(plain, first, "/lib64") ||
      directory_is(plain, first, "/lib32") || directory_is(plain, first, "/libx32")) {
    p -= 4;
    p[0] = '/', p[1] = 'u', p[2] = 's', p[3] = 'r';
  } else if (!directory_is(plain, first, "/usr") && !directory_is(plain, first, "/etc") && !directory_is(plain, first, "/opt") && !below(plain, "/var/lib", 8)) {
    return path;
  }
#ifdef CLOSURE
  if (!ours || below(plain, state.root, state.root_length))
#endif
  if (below(plain, state.root, state.root_length) || (state.store_length && below(plain, state.root, state.store_length))) return path;
  char *sent = p - state.root_length;
  for (word i = 0; i < state.root_length; i++) sent[i] = state.root[i];
  if (state.debugs && !state.pure && is_library(p) && exists(path)) return path;
  if (!exists(sent)) {
    int hidden =
#ifdef CLOSURE
        ours ||
#endif
        is_sealed(p) || (state.pure && !below(plain, "/var", 4) && !exists_with_pure(plain, n));
    if (!hidden || listed(state.machine, state.machine_end, p)) return path;
  }
  if (path[length(path) - 1] == '/') plain[n] = '/', plain[n + 1] = 0;
  *route = SENT;
  return sent;
}

// Whether `path` is /proc/self/exe or the same of this process's number.
static int is_self(const char *path) {
  if (!path || !starts(path, "/proc/", 6)) return 0;
  path += 6;
  if (same(path, "self/exe") || same(path, "thread-self/exe")) return 1;
  long n = 0;
  while (*path >= '0' && *path <= '9' && n < 1 << 24) n = n * 10 + (*path++ - '0');
  return same(path, "/exe") && n == call(NR_GETPID, 0, 0, 0);
}

// If `path` is a program behind a launcher of the tree, `.X.real`, writes the path of the launcher to `out` and returns it.
static const char *launcher_of(const char *path, char *out) {
  if (!path || !below(path, state.root, state.root_length)) return path;
  word n = length(path), name = n;
  while (name && path[name - 1] != '/') name--;
  if (n - name < 7 || path[name] != '.' || !same(path + n - 5, ".real")) return path;
  word k = 0;
  for (word i = 0; i < n - 5; i++)
    if (i != name) out[k++] = path[i];
  out[k] = 0;
  return exists(out) ? out : path;
}

// Whether the n bytes at `dir` name a directory of a tree in which scripts are launchers, and their text lies in `.scripts/`.
static int holds_scripts(const char *dir, word n) {
  return directory_is(dir, n, "/bin") || directory_is(dir, n, "/usr/bin") || directory_is(dir, n, "/usr/sbin") || directory_is(dir, n, "/usr/games");
}

// The bytes that `text_of` needs for a path: 1 unless it may be that of a launcher of a script.
static word text_room(const char *path) {
  if (!path || !state.root_length || state.copies || !below(path, state.root, state.root_length)) return 1;
  const char *end = last_name(path) - 1, *dir = end;
  while (dir > path && dir[-1] != '/') dir--;
  word n = end - dir;
  if (!directory_is(dir, n, "bin") && !directory_is(dir, n, "sbin") && !directory_is(dir, n, "games")) return 1;
  return length(path) < PATH_MAX ? 2 * PATH_MAX : 1;
}

// If `path` is a launcher of a script of the tree, writes the path of the script's text to `out` and returns it: a program that reads the
// file wants the text. The links of `bin` lead to the launchers.
static const char *text_of(const char *path, char *out) {
  if (text_room(path) == 1) return path;
  word n = normalise(path, out);
  for (int hops = 0; hops < 2; hops++) {
    word name = n;
    while (name && out[name - 1] != '/') name--;
    word dir = name - 1;
    if (dir < state.root_length || !holds_scripts(out + state.root_length, dir - state.root_length)) return path;
    char link[PATH_MAX];
    word k = n - name;
    for (word i = 0; i <= k; i++) link[i] = out[name + i];
    append(append(out + name, ".scripts/"), link);
    if (exists(out)) return out;
    append(out + name, link);
    long to = call6(NR_READLINKAT, AT_FDCWD, (long)out, (long)link, sizeof link - 1, 0, 0);
    if (to <= 0 || *link == '/') return path;
    link[to] = 0;
    append(out + name, link);
    char whole[2 * PATH_MAX];
    append(whole, out);
    n = normalise(whole, out);
  }
  return path;
}

// Whether a path that was passed on leads into the tree: an absolute one, or one that is relative to a directory of the tree. A program may have
// got into that directory by redirection.
static int is_inside(int at, const char *path) {
  if (!path || !state.root_length) return 0;
  if (*path == '/') return below(path, state.root, state.root_length);
  char name[32] = "/proc/self/cwd", target[PATH_MAX];
  if (at >= 0) {
    append(name, "/proc/self/fd/");
    word digits = 1;
    for (int n = at; n >= 10; n /= 10) digits++;
    for (word i = digits; i--; at /= 10) name[14 + i] = '0' + at % 10;
    name[14 + digits] = 0;
  } else if (at != AT_FDCWD) {
    return 0;
  }
  long n = call6(NR_READLINKAT, AT_FDCWD, (long)name, (long)target, sizeof target - 1, 0, 0);
  if (n <= 0) return 0;
  target[n] = 0;
  return below(target, state.root, state.root_length);
}

static const char *map_file(const char *name, word *size) {
  char path[PATH_MAX + 64];
  word n = 0;
  for (word i = 0; i < state.root_length; i++) path[n++] = state.root[i];
  for (; *name; name++) path[n++] = *name;
  path[n] = 0;
  long fd = call(NR_OPENAT, AT_FDCWD, path, O_RDONLY_CLOEXEC);
  if (fd < 0) return 0;
  long end = call(NR_LSEEK, fd, 0, 2), at = 0;
  if (end > 0) at = call6(NR_MMAP, 0, end, 1, 2, fd, 0);
  call(NR_CLOSE, fd, 0, 0);
  if (end <= 0 || (word)at > -4096ul) return 0;
  *size = end;
  return (const char *)at;
}

static void get_ready(char **argv, char **env) {
  static const char suffix[] = "/usr/lib/.cotter/redirect.so";
  const struct object *me = this_object();
  word n = me && me->name && *me->name == '/' && length(me->name) < sizeof state.root ? normalise(me->name, state.root) : 0;
  if (n < sizeof suffix - 1 || !same(state.root + n - (sizeof suffix - 1), suffix)) {
    // Without a tree, every path leads below the root: all wrappers pass everything on.
    n = sizeof suffix - 1;
  }
  word root = n - (sizeof suffix - 1);
  state.root[root] = 0;
  state.root_length = root;
  word parent = root;
  while (parent && state.root[parent - 1] != '/') parent--;
  if (parent > 7 && starts(state.root + parent - 7, "/store/", 7)) state.store_length = parent - 1;
  for (char **e = env; e && *e; e++)
    if (is_variable(*e, "COTTER_PURE")) state.pure = *e + sizeof "COTTER_PURE";
  // The loader removes its own arguments from the list, but not from memory: the program's path follows --argv0 and its value. A program
  // with a stub is in /proc/self/exe itself.
  if (argv && argv[0] && same(argv[0] - 8, "--argv0")) {
    const char *target = argv[0] + length(argv[0]) + 1;
    if (root && below(target, state.root, root)) state.target = target;
    const char *name = last_name(target);
    state.debugs = state.target && (starts(name, ".gdb", 4) || starts(name, ".lldb", 5));
    static const char *const copying[] = {".cp.real", ".cpio.real", ".install.real", ".mv.real", ".rsync.real", ".tar.real"};
    for (word i = 0; state.target && i < sizeof copying / sizeof *copying; i++) state.copies |= same(name, copying[i]);
  }
  word size = 0;
  const char *list = root ? map_file("/usr/lib/.cotter/sealed", &size) : 0;
  if (list) {
    // An empty line separates the sealed places from the configuration of the machine.
    const char *middle = list, *end = list + size;
    while (middle < end && !(middle[0] == '\n' && (middle == list || middle[-1] == '\n'))) middle++;
    state.machine = middle, state.machine_end = end;
    state.sealed_end = middle;
    state.sealed = list;
  }
  __atomic_store_n(&state.ready, 1, __ATOMIC_RELEASE);
}
