#include "crc.h"

#include <cstdint>
#include <cstring>
#include <vector>

#include "check.h"

int main() {
  const char* const text = "123456789";
  CHECK(cam::crc32(reinterpret_cast<const std::uint8_t*>(text), std::strlen(text), 0) == 0xCBF43926);

  // However the bytes are divided, in pieces short and long, the checksum is that of one byte after another.
  Random random(7);
  for (int i = 0; i < 2000; i++) {
    std::vector<std::uint8_t> bytes(random.whole(0, 600));
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.whole(0, 255));
    std::uint32_t slowly = 0;
    for (const std::uint8_t& byte : bytes) slowly = cam::crc32(&byte, 1, slowly);
    const std::size_t part = random.whole(0, bytes.size());
    const std::uint32_t first = cam::crc32(bytes.data(), part, 0);
    CHECK(cam::crc32(bytes.data(), bytes.size(), 0) == slowly);
    CHECK(cam::crc32(bytes.data() + part, bytes.size() - part, first) == slowly);
  }
  return report();
}
