// The in-place stub becomes a segment of a dynamically linked executable, and its entry point. It maps the dynamic loader of the tree, which
// it finds relative to the executable, and passes control to it as the kernel would. /proc/self/exe still refers to the program itself.
//
// The stub is position-independent and has no libc and no writable data. cotter writes into `config`, after the magic:
//   8 bytes   the address of this blob in the executable (unrelocated)
//   8 bytes   the executable's own entry point (unrelocated)
//   4 bytes   the index of the program header that was PT_INTERP
//   4 bytes   the number of directories from the executable's own directory up to the root of the tree
//   then      the path of the loader below the root, and an empty string
#include "sys.h"
#include "map.h"

enum { CONFIG = 512 };

struct config { char magic[16]; word blob, entry; unsigned interp, up; char loader[CONFIG - 40]; };
__attribute__((used, section(".config"), aligned(16))) static const struct config initial = {"cotter-stub-001", 0, 0, 0, 0, ""};

extern const char blob[] __attribute__((visibility("hidden")));  // the first byte, from the linker script

__attribute__((used, visibility("hidden"))) word stub(word *stack) {
  char **env = (char **)(stack + 1 + stack[0] + 1), **kept = env, **e = env;
  // The list of relocate/launcher.rs: variables through which files of the host could get into any dynamically linked program.
  for (; *e; e++)
    if (!is_variable(*e, "LD_*") && !is_variable(*e, "GCONV_PATH") && !is_variable(*e, "LOCPATH") && !is_variable(*e, "NLSPATH") && !is_variable(*e, "GLIBC_TUNABLES")) *kept++ = *e;
  *kept = 0;
  // The auxiliary vector directly follows the environment, and this must remain so.
  word *aux = (word *)(kept + 1), *from = (word *)(e + 1), n = 0;
  do {
    aux[n] = from[n];
    aux[n + 1] = from[n + 1];
    n += 2;
  } while (aux[n - 2]);

  const struct config *config = &initial;
  __asm__("" : "+r"(config));  // cotter changes these bytes after the compilation
  char path[4096 + CONFIG];
  long length_of_path = call6(NR_READLINKAT, AT_FDCWD, (long)"/proc/self/exe", (long)path, 4095, 0, 0);
  if (length_of_path <= 0) complain("read", "/proc/self/exe");
  for (int up = config->up; up >= 0; up--) {
    while (length_of_path > 0 && path[length_of_path - 1] != '/') length_of_path--;
    if (length_of_path > 0) length_of_path--;
  }
  path[length_of_path++] = '/';
  for (int i = 0; (path[length_of_path] = config->loader[i]); i++) length_of_path++;

  word page_size = 4096;
  for (word *a = aux; a[0]; a += 2)
    if (a[0] == AT_PAGESZ) page_size = a[1];
  word entry, base = map_loader(path, &entry, page_size), bias = (word)blob - config->blob;
  for (; aux[0]; aux += 2) {
    if (aux[0] == AT_BASE) aux[1] = base;
    if (aux[0] == AT_ENTRY) aux[1] = bias + config->entry;
    if (aux[0] == AT_PHDR) {
      // The kernel must not see PT_INTERP, but the loader must.
      struct segment *interp = (struct segment *)aux[1] + config->interp;
      word page = (word)interp & -page_size, size = ((word)(interp + 1) - page + page_size - 1) & -page_size;
      if (call(NR_MPROTECT, page, size, PROT_READ | PROT_WRITE)) complain("prepare", path);
      interp->type = PT_INTERP;
      call(NR_MPROTECT, page, size, PROT_READ);
    }
  }
  return entry;
}

#if defined(__x86_64__)
__asm__(
    ".section .text.start,\"ax\"\n.globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rbx\n  mov %rsp, %rdi\n  and $-16, %rsp\n"
    "  call stub\n  mov %rbx, %rsp\n  xor %edx, %edx\n  jmp *%rax\n.text\n");
#else
__asm__(
    ".section .text.start,\"ax\"\n.globl _start\n_start:\n  mov x29, xzr\n  mov x30, xzr\n  mov x19, sp\n  mov x0, sp\n"
    "  bl stub\n  mov sp, x19\n  mov x16, x0\n  mov x0, xzr\n  br x16\n.text\n");
#endif
