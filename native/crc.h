#pragma once

#include <cstddef>
#include <cstdint>

namespace cam {

/** Whether this processor multiplies polynomials over GF(2): without that, zlib's own CRC-32 is the faster. */
bool has_fast_crc();

/** CRC-32 of PNG and zlib (polynomial 0xEDB88320, reflected), of bytes that follow those whose checksum is `start`. */
std::uint32_t crc32(const std::uint8_t* bytes, std::size_t count, std::uint32_t start);

}  // namespace cam
