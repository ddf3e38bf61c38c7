// Asks each library for its version, and makes each do a little work.
#include <libpq-fe.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

int main(void) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_Digest("abc", 3, digest, &length, EVP_sha256(), NULL);
  printf("openssl %s sha256(abc) %02x%02x...\n", OpenSSL_version(OPENSSL_VERSION_STRING), digest[0], digest[1]);

  unsigned char packed[128], unpacked[128];
  unsigned long packed_size = sizeof packed, unpacked_size = sizeof unpacked;
  compress(packed, &packed_size, (const unsigned char *)"hello hello hello", 18);
  uncompress(unpacked, &unpacked_size, packed, packed_size);
  printf("zlib %s %s\n", zlibVersion(), unpacked);

  PGconn *connection = PQconnectdb("host=/nonexistent connect_timeout=1");
  printf("libpq %d %s\n", PQlibVersion(), PQstatus(connection) == CONNECTION_BAD ? "no server, as expected" : "a server?");
  PQfinish(connection);
  return strcmp((char *)unpacked, "hello hello hello") != 0;
}
