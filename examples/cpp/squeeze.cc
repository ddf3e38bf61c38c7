#include "squeeze.h"

#include <stdexcept>

#include <zlib.h>

std::string squeeze(const std::string &data) {
  uLongf size = compressBound(data.size());
  std::string out(size, '\0');
  if (compress2(reinterpret_cast<Bytef *>(out.data()), &size, reinterpret_cast<const Bytef *>(data.data()), data.size(), 9) != Z_OK) throw std::runtime_error("compress2 failed");
  out.resize(size);
  return out;
}

std::string unsqueeze(const std::string &data, std::size_t size) {
  std::string out(size, '\0');
  uLongf got = size;
  if (uncompress(reinterpret_cast<Bytef *>(out.data()), &got, reinterpret_cast<const Bytef *>(data.data()), data.size()) != Z_OK) throw std::runtime_error("uncompress failed");
  out.resize(got);
  return out;
}
