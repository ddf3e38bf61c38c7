// Maps a dynamic loader as the kernel would. stub.c, which becomes part of finished programs, and start.c, which is linked into new programs,
// use it.

enum { PT_LOAD = 1, PT_INTERP = 3, AT_PHDR = 3, AT_PAGESZ = 6, AT_BASE = 7, AT_ENTRY = 9, AT_EXECFN = 31 };
enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, MAP_PRIVATE = 2, MAP_FIXED = 16, MAP_ANONYMOUS = 32 };

struct header { unsigned char ident[16]; unsigned short type, machine; unsigned version; word entry, phoff, shoff; unsigned flags; unsigned short ehsize, phentsize, phnum; };
struct segment { unsigned type, flags; word offset, vaddr, paddr, filesz, memsz, align; };

static int protection(unsigned flags) { return (flags & 4 ? PROT_READ : 0) | (flags & 2 ? PROT_WRITE : 0) | (flags & 1 ? PROT_EXEC : 0); }

// Maps the loader and returns its base address. `page` is the page size of the kernel in bytes: on aarch64, kernels with 16 and 64 KiB exist.
static word map_loader(const char *path, word *entry, word page) {
  char first[2048] __attribute__((aligned(8)));
  long fd = call(NR_OPENAT, AT_FDCWD, path, O_RDONLY_CLOEXEC);
  if (fd < 0) complain("open the loader", path);
  const struct header *header = (struct header *)first;
  long got = call6(NR_PREAD, fd, (long)first, sizeof first, 0, 0, 0);
  if (got < 64 || header->phoff + header->phnum * sizeof(struct segment) > (word)got) complain("read the loader", path);
  const struct segment *segments = (struct segment *)(first + header->phoff);
  word end = 0;
  for (int i = 0; i < header->phnum; i++)
    if (segments[i].type == PT_LOAD && segments[i].vaddr + segments[i].memsz > end) end = segments[i].vaddr + segments[i].memsz;
  // 64 KiB is the largest page size of the platforms.
  word align = 65536;
  word base = call6(NR_MMAP, 0, end + align, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base > -4096ul) complain("map the loader", path);
  base = (base + align - 1) & -align;
  for (int i = 0; i < header->phnum; i++) {
    const struct segment *s = &segments[i];
    if (s->type != PT_LOAD) continue;
    word slack = s->vaddr & (page - 1), start = base + s->vaddr - slack;
    word mapped = call6(NR_MMAP, start, s->filesz + slack, protection(s->flags), MAP_PRIVATE | MAP_FIXED, fd, s->offset - slack);
    if (mapped > -4096ul) complain("map the loader", path);
    if (s->memsz > s->filesz) {
      word from = base + s->vaddr + s->filesz, page_end = (from + page - 1) & -page, to = base + s->vaddr + s->memsz;
      for (volatile char *p = (char *)from; (word)p < page_end; p++) *p = 0;
      if (to > page_end) call6(NR_MMAP, page_end, to - page_end, protection(s->flags), MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
    }
  }
  call(NR_CLOSE, fd, 0, 0);
  *entry = base + header->entry;
  return base;
}
