// The functions that start programs. The kernel would read the `#!` line of a script and start the interpreter of the host, so the interpreter
// of the tree is started here.

enum { MOST_LINE = 256, X_OK = 1 };

// The path of a program that a script of the tree asks for, or 0. `out` has room for it.
static const char *tool(const char *directory, const char *name, char *out) {
  word n = 0;
  for (; n < state.root_length; n++) out[n] = state.root[n];
  append(append(append(out + n, directory), "/"), name);
  return exists(out) ? out : 0;
}

// What to give to the kernel in place of a program.
struct start {
  const char *program;
  const char *script;    // the script, if the program is the interpreter of one
  const char *argument;  // the interpreter's argument, or 0
  int error;             // or why there is nothing to start
  char path[PATH_MAX + 16], interpreter[PATH_MAX + MOST_LINE + 16], line[MOST_LINE + 1];
};

// Finds out what it takes to start `path`.
static void plan(const char *path, struct start *s) {
  s->program = path;
  s->script = s->argument = 0;
  s->error = 0;
  if (room(path) == 1 && !state.root_length) return;
  if (state.target && is_self(path)) path = state.target;
  enum route route = PASS;
  if (room(path) <= sizeof s->path) path = redirect(path, s->path, &route);
  const char *launcher = launcher_of(path, s->interpreter);
  if (launcher != path) {
    append(s->path, launcher);
    path = s->path;
  }
  s->program = path;
  int ours = route == SENT || below(path, state.root, state.root_length);
  if (!ours && !state.pure) return;
  long fd = call(NR_OPENAT, AT_FDCWD, path, O_RDONLY_CLOEXEC);
  if (fd < 0) return;
  long n = call6(NR_PREAD, fd, (long)s->line, MOST_LINE, 0, 0, 0);
  call(NR_CLOSE, fd, 0, 0);
  // The kernel refuses a file that is not executable.
  if (n < 4 || s->line[0] != '#' || s->line[1] != '!' || call(NR_FACCESSAT, AT_FDCWD, path, X_OK) != 0) return;
  s->line[n] = 0;
  char *at = s->line + 2, *end = at;
  while (*end && *end != '\n') end++;
  while (end > at && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) end--;
  *end = 0;
  while (*at == ' ' || *at == '\t') at++;
  char *program = at;
  while (*at && *at != ' ' && *at != '\t') at++;
  char *argument = at;
  while (*argument == ' ' || *argument == '\t') argument++;
  *at = 0;
  if (*program != '/') return;
  if (same(last_name(program), "env")) {
    // `env NAME` and `env -S NAME ARGUMENT`; variables and other options are left to env itself.
    char *name = argument;
    if (starts(name, "-S", 2)) name += 2;
    while (*name == ' ' || *name == '\t') name++;
    char *stop = name;
    int plain = *name && *name != '-';
    while (*stop && *stop != ' ' && *stop != '\t') plain &= *stop != '=' && *stop != '/', stop++;
    if (plain) {
      char *rest = stop;
      while (*rest == ' ' || *rest == '\t') rest++;
      *stop = 0;
      if (tool("/usr/bin", name, s->interpreter) || tool("/bin", name, s->interpreter)) {
        s->program = s->interpreter;
        s->argument = *rest ? rest : 0;
        s->script = path;
        return;
      }
      if (stop != rest) *stop = ' ';
    }
  }
  if (room(program) > sizeof s->interpreter) return;
  const char *interpreter = redirect(program, s->interpreter, &route);
  if (route == SENT && !exists(interpreter)) {
    s->error = ENOENT;
  } else if (route == SENT) {
    s->program = interpreter;
    s->argument = *argument ? argument : 0;
    s->script = path;
  }
}

static word count_of(char *const *list) {
  word n = 0;
  while (list && list[n]) n++;
  return n;
}

// The arguments for an interpreter: its own path, its argument, the script, and those of the script.
static void fill(char **out, const struct start *s, char *const *argv) {
  *out++ = (char *)s->program;
  if (s->argument) *out++ = (char *)s->argument;
  *out++ = (char *)s->script;
  if (argv && argv[0])
    while (*++argv) *out++ = *argv;
  *out = 0;
}

// Starts a program in place of this one; returns only if that fails.
static int start(const char *path, char *const *argv, char *const *env) {
  struct start s;
  plan(path, &s);
  long failed = s.error;
  if (!failed && s.script) {
    char *arguments[count_of(argv) + 4];
    fill(arguments, &s, argv);
    failed = -call(NR_EXECVE, s.program, arguments, env);
  } else if (!failed) {
    failed = -call(NR_EXECVE, s.program, argv, env);
  }
  errno = failed;
  return -1;
}

// Looks `file` up along PATH as execvp does, and calls `attempt` for each place until it returns 0 or an error that ends the search. Returns the error.
typedef int (*attempt)(const char *path, void *context);

static int is_not_there(int e) { return e == ENOENT || e == ENOTDIR || e == 13 || e == 116 || e == 19 || e == 110; }

static int search(const char *file, attempt attempt, void *context) {
  if (!*file) return ENOENT;
  for (const char *c = file; *c; c++)
    if (*c == '/') return attempt(file, context);
  const char *path = environment("PATH");
  if (!path) path = "/bin:/usr/bin";
  word n = length(file);
  if (n > 255) return 36;  // ENAMETOOLONG
  char candidate[PATH_MAX + 260];
  int denied = 0;
  for (;;) {
    word k = 0;
    while (path[k] && path[k] != ':') k++;
    if (k < PATH_MAX) {
      char *end = candidate;
      for (word i = 0; i < k; i++) *end++ = path[i];
      if (k) *end++ = '/';
      append(end, file);
      int error = attempt(candidate, context);
      if (!is_not_there(error)) return error;
      denied |= error == EACCES;
    }
    if (!path[k]) return denied ? EACCES : ENOENT;
    path += k + 1;
  }
}

struct command { char *const *argv, *const *env; };

static int attempt_start(const char *path, void *context) {
  const struct command *c = context;
  start(path, c->argv, c->env);
  if (errno != ENOEXEC) return errno;
  // A file without a `#!` line is a script for the shell.
  char *arguments[count_of(c->argv) + 4];
  struct start s = {.program = "/bin/sh", .script = path};
  fill(arguments, &s, c->argv);
  start("/bin/sh", arguments, c->env);
  return errno;
}

static int start_by_name(const char *file, char *const *argv, char *const *env) {
  struct command c = {argv, env};
  errno = search(file, attempt_start, &c);
  return -1;
}

EXPORT int execve(const char *path, char *const *argv, char *const *env) { return start(path, argv, env); }
EXPORT int execv(const char *path, char *const *argv) { return start(path, argv, environ); }
EXPORT int execvp(const char *file, char *const *argv) { return start_by_name(file, argv, environ); }
EXPORT int execvpe(const char *file, char *const *argv, char *const *env) { return start_by_name(file, argv, env); }

// Collects arguments that are passed one by one, and their end.
#define COLLECT(first)                                                   \
  __builtin_va_list list, again;                                         \
  __builtin_va_start(list, first);                                       \
  __builtin_va_copy(again, list);                                        \
  word count = 1;                                                        \
  if (first)                                                             \
    while (__builtin_va_arg(list, char *)) count++;                      \
  char *argv[count + 1];                                                 \
  argv[0] = (char *)first;                                               \
  for (word i = 1; first && i <= count; i++) argv[i] = __builtin_va_arg(again, char *); \
  __builtin_va_end(list)

EXPORT int execl(const char *path, const char *first, ...) {
  COLLECT(first);
  __builtin_va_end(again);
  return start(path, argv, environ);
}
EXPORT int execlp(const char *file, const char *first, ...) {
  COLLECT(first);
  __builtin_va_end(again);
  return start_by_name(file, argv, environ);
}
EXPORT int execle(const char *path, const char *first, ...) {
  COLLECT(first);
  char *const *env = __builtin_va_arg(again, char *const *);
  __builtin_va_end(again);
  return start(path, argv, env);
}

// --- posix_spawn ---

typedef int (*spawn)(int *pid, const char *path, const void *actions, const void *attributes, char *const *argv, char *const *env);

static int spawn_in_tree(spawn next, int *pid, const char *path, const void *actions, const void *attributes, char *const *argv, char *const *env) {
  struct start s;
  plan(path, &s);
  if (s.error) return s.error;
  if (!s.script) return next(pid, s.program, actions, attributes, argv, env);
  char *arguments[count_of(argv) + 4];
  fill(arguments, &s, argv);
  return next(pid, s.program, actions, attributes, arguments, env);
}
EXPORT int posix_spawn(int *pid, const char *path, const void *actions, const void *attributes, char *const *argv, char *const *env) {
  return spawn_in_tree(NEXT(posix_spawn), pid, path, actions, attributes, argv, env);
}

struct spawned { int *pid; const void *actions, *attributes; char *const *argv, *const *env; };

static int attempt_spawn(const char *path, void *context) {
  const struct spawned *s = context;
  return spawn_in_tree(NEXT(posix_spawn), s->pid, path, s->actions, s->attributes, s->argv, s->env);
}
EXPORT int posix_spawnp(int *pid, const char *file, const void *actions, const void *attributes, char *const *argv, char *const *env) {
  struct spawned s = {pid, actions, attributes, argv, env};
  return search(file, attempt_spawn, &s);
}

// The path of a file that the child opens: the loader of another program does not redirect it.
EXPORT int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, mode_t m) {
  SEND_READ(path);
  if (route == SENT && writes(flags)) return EROFS;
  return NEXT(posix_spawn_file_actions_addopen)(actions, fd, to, flags, m);
}

// --- system and popen: libc starts the host's /bin/sh, wherever the caller's is ---

extern int posix_spawn_file_actions_init(void *);
extern int posix_spawn_file_actions_destroy(void *);
extern int posix_spawn_file_actions_adddup2(void *, int, int);
extern int posix_spawnattr_init(void *);
extern int posix_spawnattr_destroy(void *);
extern int posix_spawnattr_setflags(void *, short);
extern int posix_spawnattr_setsigdefault(void *, const void *);
extern int posix_spawnattr_setsigmask(void *, const void *);
extern int pipe2(int *, int);
extern FILE *fdopen(int, const char *);
extern int fclose(FILE *);

enum { SIGINT = 2, SIGQUIT = 3, SIGCHLD = 17, SIG_IGNORE = 1, SETSIGDEF = 4, SETSIGMASK = 8, EINTR = 4 };
struct action { word handler, flags, restorer, mask; };
// Larger than libc's own types.
typedef struct { word bytes[64]; } attributes;
typedef struct { word bytes[16]; } signals, actions;

static char *const *shell(const char *command, char **argv) {
  argv[0] = "sh", argv[1] = "-c", argv[2] = "--", argv[3] = (char *)command, argv[4] = 0;
  return argv;
}

static int wait_for(int pid, int *status) {
  long n;
  do n = call6(NR_WAIT4, pid, (long)status, 0, 0, 0, 0);
  while (n == -EINTR);
  if (n < 0) errno = -n;
  return n < 0 ? -1 : 0;
}

static void lock(int *busy) {
  while (__atomic_exchange_n(busy, 1, __ATOMIC_ACQUIRE)) {
  }
}
static void unlock(int *busy) { __atomic_store_n(busy, 0, __ATOMIC_RELEASE); }

// How many commands of `system` run, and what to restore after the last one: threads may run several at once.
static int systems, systems_busy;
static struct action interrupt, quit;

static void ignore_signals(void) {
  struct action ignore = {.handler = SIG_IGNORE};
  lock(&systems_busy);
  if (!systems++) {
    call6(NR_SIGACTION, SIGINT, (long)&ignore, (long)&interrupt, 8, 0, 0);
    call6(NR_SIGACTION, SIGQUIT, (long)&ignore, (long)&quit, 8, 0, 0);
  }
  unlock(&systems_busy);
}

static void restore_signals(void) {
  lock(&systems_busy);
  if (!--systems) {
    call6(NR_SIGACTION, SIGINT, (long)&interrupt, 0, 8, 0, 0);
    call6(NR_SIGACTION, SIGQUIT, (long)&quit, 0, 8, 0, 0);
  }
  unlock(&systems_busy);
}

EXPORT int system(const char *command) {
  if (!leads_into_tree("/bin/sh")) return NEXT(system)(command);
  if (!command) return 1;
  // While the command runs, the caller ignores what the terminal sends to both, and its own handler must not take the end of the child.
  word block = 1ul << (SIGCHLD - 1), mask;
  ignore_signals();
  call6(NR_SIGPROCMASK, 0, (long)&block, (long)&mask, 8, 0, 0);
  attributes attributes;
  signals restored = {{(interrupt.handler != SIG_IGNORE) << (SIGINT - 1) | (quit.handler != SIG_IGNORE) << (SIGQUIT - 1)}}, old = {{mask}};
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &restored);
  posix_spawnattr_setsigmask(&attributes, &old);
  posix_spawnattr_setflags(&attributes, SETSIGDEF | SETSIGMASK);
  char *argv[5];
  int pid, status = 127 << 8;
  int failed = spawn_in_tree(NEXT(posix_spawn), &pid, "/bin/sh", 0, &attributes, shell(command, argv), environ);
  posix_spawnattr_destroy(&attributes);
  if (!failed && wait_for(pid, &status)) status = -1;
  int error = errno;
  restore_signals();
  call6(NR_SIGPROCMASK, 2, (long)&mask, 0, 8, 0, 0);
  errno = failed ? failed : error;
  return status;
}

// The streams that popen has opened, and their processes.
struct stream { struct stream *next; FILE *file; int pid; };
static struct stream *streams;
static int streams_busy;

EXPORT FILE *popen(const char *command, const char *mode) {
  if (!leads_into_tree("/bin/sh")) return NEXT(popen)(command, mode);
  int reads = mode[0] == 'r', ends[2], pid;
  if (!reads && mode[0] != 'w') {
    errno = EINVAL;
    return 0;
  }
  // The caller's end is closed in every program that is started, as POSIX asks for those that popen starts.
  if (pipe2(ends, O_RDONLY_CLOEXEC)) return 0;
  int own = ends[!reads], other = ends[reads];
  struct stream *s = malloc(sizeof *s);
  FILE *file = s ? fdopen(own, reads ? "r" : "w") : 0;
  int failed = errno;
  if (file) {
    actions actions;
    char *argv[5];
    posix_spawn_file_actions_init(&actions);
    // dup2 to the same number only clears the close-on-exec flag.
    posix_spawn_file_actions_adddup2(&actions, other, reads ? 1 : 0);
    failed = spawn_in_tree(NEXT(posix_spawn), &pid, "/bin/sh", &actions, 0, shell(command, argv), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (!failed) {
      call(NR_CLOSE, other, 0, 0);
      *s = (struct stream){0, file, pid};
      lock(&streams_busy);
      s->next = streams, streams = s;
      unlock(&streams_busy);
      return file;
    }
  }
  if (file)
    fclose(file);
  else
    call(NR_CLOSE, own, 0, 0);
  call(NR_CLOSE, other, 0, 0);
  free(s);
  errno = failed;
  return 0;
}

EXPORT int pclose(FILE *file) {
  lock(&streams_busy);
  struct stream **at = &streams, *found;
  while (*at && (*at)->file != file) at = &(*at)->next;
  if ((found = *at)) *at = found->next;
  unlock(&streams_busy);
  if (!found) return NEXT(pclose)(file);
  int pid = found->pid, status;
  free(found);
  fclose(file);
  return wait_for(pid, &status) ? -1 : status;
}
