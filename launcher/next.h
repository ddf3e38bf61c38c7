// Finds the function of libc that a wrapper of redirect.c stands in front of. `dlsym(RTLD_NEXT, ...)` would do the same, but it takes a lock
// and may allocate memory, so a wrapper could not be called by a signal handler or between fork and exec. This search only reads memory. The
// list of objects is in the order in which they were loaded, and libc, which is always found before the end, is never unloaded.

struct object { word base; char *name; struct entry *dynamic; struct object *next, *before; };
struct entry { word tag, value; };
struct symbol { unsigned name; unsigned char info, other; unsigned short section; word value, size; };
struct debug { int version; struct object *first; };

enum { DT_STRTAB = 5, DT_SYMTAB = 6, DT_VERSYM = 0x6ffffff0, DT_GNU_HASH = 0x6ffffef5, HIDDEN_VERSION = 0x8000 };

extern struct debug _r_debug;
extern struct entry _DYNAMIC[] __attribute__((visibility("hidden")));

static struct object *this_object(void) {
  struct object *o = _r_debug.first;
  while (o && o->dynamic != _DYNAMIC) o = o->next;
  return o;
}

// Looks a symbol up in one object. Of several versions, the default one wins.
static void *symbol_in(const struct object *o, const char *name, unsigned hash) {
  const char *strings = 0;
  const struct symbol *symbols = 0;
  const unsigned *table = 0;
  const unsigned short *versions = 0;
  for (const struct entry *e = o->dynamic; e && e->tag; e++) {
    // The loader has added the base address to these values, except in the object that the kernel provides.
    const void *at = (const void *)(e->value < o->base ? e->value + o->base : e->value);
    if (e->tag == DT_STRTAB) strings = at;
    if (e->tag == DT_SYMTAB) symbols = at;
    if (e->tag == DT_GNU_HASH) table = at;
    if (e->tag == DT_VERSYM) versions = at;
  }
  if (!strings || !symbols || !table) return 0;
  unsigned buckets = table[0], offset = table[1], bloom_size = table[2], shift = table[3];
  const word *bloom = (const word *)(table + 4);
  const unsigned *bucket = (const unsigned *)(bloom + bloom_size), *chain = bucket + buckets;
  word mask = 1ul << (hash % 64) | 1ul << ((hash >> shift) % 64);
  if (!buckets || (bloom[hash / 64 % bloom_size] & mask) != mask) return 0;
  unsigned i = bucket[hash % buckets];
  void *hidden = 0;
  if (i < offset) return 0;
  for (;; i++) {
    unsigned h = chain[i - offset];
    const struct symbol *s = &symbols[i];
    if ((h | 1) == (hash | 1) && s->section && same(strings + s->name, name)) {
      void *at = (void *)(o->base + s->value);
      if (!versions || !(versions[i] & HIDDEN_VERSION)) return at;
      hidden = at;
    }
    if (h & 1) return hidden;
  }
}

static long missing(void) {
  errno = ENOSYS;
  return -1;
}

static void *find_next(const char *name) {
  unsigned hash = 5381;
  for (const char *c = name; *c; c++) hash = hash * 33 + (unsigned char)*c;
  const struct object *o = this_object();
  for (o = o ? o->next : 0; o; o = o->next) {
    void *found = symbol_in(o, name, hash);
    if (found) return found;
  }
  return (void *)missing;
}

// The next definition of a function that this file also defines or declares. It is looked up once. Threads that do so at the same time find
// the same address.
#define NEXT(name)                                              \
  ({                                                            \
    static void *known;                                         \
    void *next_ = __atomic_load_n(&known, __ATOMIC_RELAXED);    \
    if (!next_) {                                               \
      next_ = find_next(#name);                                 \
      __atomic_store_n(&known, next_, __ATOMIC_RELAXED);        \
    }                                                           \
    (__typeof__(&name))next_;                                   \
  })
