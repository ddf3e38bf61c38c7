// The wrappers with a peculiarity: patterns, lists, libraries, locales, and the system calls that programs make through libc's `syscall`.

extern void *malloc(word);
extern void free(void *);

// --- glob: the directories before the first wildcard decide ---

enum { GLOB_NOESCAPE = 64 };

static int is_special(char c) { return c == '*' || c == '?' || c == '[' || c == '\\' || c == '{'; }

static int glob_in_tree(const char *pattern, int flags, int (*next)(const char *, int, function, void *), function error, void *result) {
  word n = room(pattern), fixed = 0;
  if (n == 1) return next(pattern, flags, error, result);
  for (word i = 0; pattern[i] && !is_special(pattern[i]); i++)
    if (pattern[i] == '/') fixed = i;
  if (!pattern[fixed]) return next(pattern, flags, error, result);
  char dir[fixed + 1];
  for (word i = 0; i < fixed; i++) dir[i] = pattern[i];
  dir[fixed] = 0;
  SEND(dir);
  if (route != SENT) return next(pattern, flags, error, result);
  // The characters of the tree's own path stand for themselves.
  char sent[2 * length(to) + length(pattern + fixed) + 1], *end = sent;
  for (; *to; *end++ = *to++)
    if (is_special(*to) && !(flags & GLOB_NOESCAPE)) *end++ = '\\';
  append(end, pattern + fixed);
  return next(sent, flags, error, result);
}
EXPORT int glob(const char *pattern, int flags, function error, void *result) { return glob_in_tree(pattern, flags, (void *)NEXT(glob), error, result); }
EXPORT int glob64(const char *pattern, int flags, function error, void *result) { return glob_in_tree(pattern, flags, (void *)NEXT(glob64), error, result); }

// --- fts: a list of roots ---

static void *fts_in_tree(char *const *paths, int options, function compare, void *(*next)(char *const *, int, function)) {
  word count = 0, bytes = 0;
  for (; paths[count]; count++) bytes += room(paths[count]);
  char texts[bytes + 1], *at = texts, *sent[count + 1];
  for (word i = 0; i < count; i++) {
    enum route route;
    sent[i] = (char *)redirect(paths[i], at, &route);
    at += room(paths[i]);
  }
  sent[count] = 0;
  return next(sent, options, compare);
}
EXPORT void *fts_open(char *const *paths, int options, function compare) { return fts_in_tree(paths, options, compare, (void *)NEXT(fts_open)); }
EXPORT void *fts64_open(char *const *paths, int options, function compare) { return fts_in_tree(paths, options, compare, (void *)NEXT(fts64_open)); }

// --- Libraries ---

// The loader searches on behalf of the object that contains the caller, so these two must end in a jump. The path can therefore not lie on the
// stack: it is kept for ever, once for each library.
struct kept { struct kept *next; char path[]; };
static struct kept *kept;

static const char *keep(const char *path) {
  SEND(path);
  if (route == PASS) return path;
  struct kept *first = __atomic_load_n(&kept, __ATOMIC_ACQUIRE);
  for (struct kept *k = first; k; k = k->next)
    if (same(k->path, to)) return k->path;
  struct kept *new = malloc(sizeof *new + length(to) + 1);
  if (!new) return path;
  append(new->path, to);
  new->next = first;
  while (!__atomic_compare_exchange_n(&kept, &new->next, new, 0, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
  }
  return new->path;
}
EXPORT void *dlopen(const char *path, int mode) {
  path = keep(path);
  return NEXT(dlopen)(path, mode);
}
EXPORT void *dlmopen(long space, const char *path, int mode) {
  path = keep(path);
  return NEXT(dlmopen)(space, path, mode);
}

// --- Locales: the tree has C.UTF-8; it stands in for any other UTF-8 locale of the user ---

static const char *environment(const char *name) {
  for (char **e = environ; e && *e; e++)
    if (is_variable(*e, name)) return *e + length(name) + 1;
  return 0;
}

static int is_utf8(const char *locale) {
  if (!locale) return 0;
  while (*locale && *locale != '.') locale++;
  static const char name[] = "utf8";
  word n = 0;
  for (locale += *locale == '.'; *locale && *locale != '@'; locale++) {
    if (*locale == '-') continue;
    char c = *locale >= 'A' && *locale <= 'Z' ? *locale + 32 : *locale;
    if (n == 4 || c != name[n++]) return 0;
  }
  return n == 4;
}

// Whether the user wants a UTF-8 locale: the first variable that is set counts.
static int user_wants_utf8(void) {
  static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (int i = 0; i < 3; i++) {
    const char *value = environment(names[i]);
    if (value && *value) return is_utf8(value);
  }
  return 0;
}
EXPORT char *setlocale(int category, const char *locale) {
  char *set = NEXT(setlocale)(category, locale);
  if (set || !locale || !(*locale ? is_utf8(locale) : user_wants_utf8())) return set;
  return NEXT(setlocale)(category, "C.UTF-8");
}
EXPORT void *newlocale(int mask, const char *locale, void *base) {
  void *set = NEXT(newlocale)(mask, locale, base);
  if (set || !locale || !(*locale ? is_utf8(locale) : user_wants_utf8())) return set;
  return NEXT(newlocale)(mask, "C.UTF-8", base);
}

// --- System calls ---

// libuv and Rust ask for some system calls by number, where an older libc has no function for them.
EXPORT long syscall(long n, long a, long b, long c, long d, long e, long f) {
  int looks = n == NR_STATX || n == NR_NEWFSTATAT || n == NR_FACCESSAT || n == NR_FACCESSAT2;
  if (looks || n == NR_OPENAT) {
    SEND_READ((const char *)b);
    if (route == SENT && n == NR_OPENAT && writes(c)) return read_only();
    return NEXT(syscall)(n, a, (long)to, c, d, e, f);
  }
  return NEXT(syscall)(n, a, b, c, d, e, f);
}
