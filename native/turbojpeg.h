#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace cam {

/** libjpeg-turbo where the system or a package has it as a shared library, through its TurboJPEG API. For one thread. */
class TurboJpeg {
 public:
  /** The library of that path, or of that name where the loader finds it; null where it does not load. */
  static std::unique_ptr<TurboJpeg> open(const char* path);
  ~TurboJpeg();
  TurboJpeg(const TurboJpeg&) = delete;
  TurboJpeg& operator=(const TurboJpeg&) = delete;

  /**
   * The pixels of a JPEG file, RGB, 8 bits: `out` is [height, width, 3]. False where it refuses: another size, CMYK,
   * 12 bits, or a file that gives even a warning, as one that is damaged or cut off does.
   */
  bool decode(const std::uint8_t* file, std::size_t length, std::size_t width, std::size_t height,
              std::uint8_t* out);

 private:
  struct Functions;
  TurboJpeg(std::unique_ptr<Functions> functions, void* handle);
  std::unique_ptr<Functions> functions_;
  void* handle_;
};

}  // namespace cam
