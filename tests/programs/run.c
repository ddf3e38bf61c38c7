/* Runs the steps of a program's work inside a jail, where there is no shell: `run SCRIPT UID SECONDS`. It is linked statically, so it opens nothing but the script.
 *
 * The script is a list of steps. Each begins with the number of its words; every number and word ends in a NUL byte. Words in front of the command say how it is run:
 *   &         in the background; it is killed at the end
 *   !         it must fail
 *   <FILE     its standard input, which is otherwise /dev/null
 *   >FILE     its standard output
 *   NAME=...  a variable of its environment
 * The command `await` waits until a port on loopback accepts connections, or until a file exists. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t step;
static int seconds;

/* Ends what is left over, also daemons: this runs in a process namespace of its own, below its first process and perhaps a tracer. */
static void end(int code) {
  DIR *dir = opendir("/proc");
  struct dirent *entry;
  while (dir && (entry = readdir(dir))) {
    pid_t pid = atoi(entry->d_name);
    if (pid > 1 && pid != getpid() && pid != getppid()) kill(pid, SIGKILL);
  }
  _exit(code);
}

static void late(int signal) {
  (void)signal;
  dprintf(2, "run: step %d took longer than %d seconds\n", (int)step, seconds);
  end(1);
}

static void fail(const char *what, const char *name) {
  dprintf(2, "run: step %d: %s %s: %s\n", (int)step, what, name, strerror(errno));
  _exit(127);
}

static int connects(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int ok = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
  close(fd);
  return ok;
}

/* The alarm ends this, too. */
static void await(const char *what) {
  struct timespec pause = {0, 50000000};
  int port = atoi(what);
  while (port ? !connects(port) : access(what, F_OK)) nanosleep(&pause, NULL);
}

static void redirect(const char *name, int flags, int to) {
  int fd = open(name, flags, 0644);
  if (fd < 0) fail("cannot open", name);
  dup2(fd, to);
  close(fd);
}

/* Returns whether the step went as it should. */
static int run(char **words) {
  int background = 0, fails = 0, status;
  const char *in = "/dev/null", *out = NULL;
  char **variables = words, **command;
  for (; *words; words++) {
    if (!strcmp(*words, "&")) background = 1;
    else if (!strcmp(*words, "!")) fails = 1;
    else if (**words == '<') in = *words + 1;
    else if (**words == '>') out = *words + 1;
    else if (!(isupper((unsigned char)**words) && strchr(*words, '='))) break;
  }
  command = words;
  if (!*command) return 0;
  if (!strcmp(*command, "await")) return await(command[1]), 1;
  pid_t pid = fork();
  if (pid < 0) fail("cannot fork for", *command);
  if (pid == 0) {
    for (; variables < command; variables++)
      if (isupper((unsigned char)**variables)) putenv(*variables);
    redirect(in, O_RDONLY, 0);
    if (out) redirect(out, O_WRONLY | O_CREAT | O_TRUNC, 1);
    execvp(*command, command);
    fail("cannot start", *command);
  }
  if (background) return 1;
  while (waitpid(pid, &status, 0) != pid)
    if (errno != EINTR) fail("cannot wait for", *command);
  if (WIFSIGNALED(status)) {
    dprintf(2, "run: step %d: %s was killed by signal %d\n", (int)step, *command, WTERMSIG(status));
    return 0;
  }
  if (!WEXITSTATUS(status) == !fails) return 1;
  dprintf(2, "run: step %d: %s exited with %d\n", (int)step, *command, WEXITSTATUS(status));
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
  static char script[1 << 20];
  ssize_t size = fd < 0 ? -1 : read(fd, script, sizeof script - 1);
  if (size < 0) fail("cannot read", argv[1]);
  int uid = atoi(argv[2]);
  if (uid && (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))) fail("cannot become", argv[2]);
  /* A daemon that left its parent becomes a child of this program, so that none outlives it. */
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  seconds = atoi(argv[3]);
  signal(SIGALRM, late);
  alarm(seconds);
  for (char *at = script; at < script + size;) {
    int count = atoi(at);
    char *words[256];
    if (count < 1 || count > 255) return 2;
    for (int i = 0; i < count; i++) words[i] = at += strlen(at) + 1;
    words[count] = NULL;
    at += strlen(at) + 1;
    step++;
    if (!run(words)) end(1);
  }
  end(0);
}
