#include "turbojpeg.h"

#include <utility>

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

namespace cam {

// The TurboJPEG API 1.4, which all later versions keep (libjpeg-turbo, turbojpeg.h).
struct TurboJpeg::Functions {
  void* (*init)();
  int (*header)(void* handle, const unsigned char* file, unsigned long length, int* width, int* height,
                int* subsampling, int* colorspace);
  int (*decompress)(void* handle, const unsigned char* file, unsigned long length, unsigned char* out, int width,
                    int pitch, int height, int format, int flags);
  int (*destroy)(void* handle);
};

namespace {

constexpr int rgb = 0;              // TJPF_RGB
constexpr int accurate_dct = 4096;  // TJFLAG_ACCURATEDCT: the pixels of Pillow and of sharp

}  // namespace

TurboJpeg::TurboJpeg(std::unique_ptr<Functions> functions, void* handle)
    : functions_(std::move(functions)), handle_(handle) {}

TurboJpeg::~TurboJpeg() {
  if (handle_) functions_->destroy(handle_);
}

#if defined(_WIN32)

std::unique_ptr<TurboJpeg> TurboJpeg::open(const char*) { return nullptr; }

#else

namespace {

/** Whether the library has it. */
template <typename F>
bool find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace

std::unique_ptr<TurboJpeg> TurboJpeg::open(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);  // for good: other threads may have it too
  if (!library) return nullptr;
  auto functions = std::make_unique<Functions>();
  if (!find(library, "tjInitDecompress", functions->init) || !find(library, "tjDecompressHeader3", functions->header) ||
      !find(library, "tjDecompress2", functions->decompress) || !find(library, "tjDestroy", functions->destroy))
    return nullptr;
  void* handle = functions->init();
  if (!handle) return nullptr;
  return std::unique_ptr<TurboJpeg>(new TurboJpeg(std::move(functions), handle));
}

#endif

bool TurboJpeg::decode(const std::uint8_t* file, std::size_t length, std::size_t width, std::size_t height,
                       std::uint8_t* out) {
  if (!handle_ && !(handle_ = functions_->init())) return false;
  const auto bytes = static_cast<unsigned long>(length);
  int found_width = 0, found_height = 0, subsampling = 0, colorspace = 0;
  // The size is asked for first: the library would shrink the picture to a smaller one.
  const bool read =
      functions_->header(handle_, file, bytes, &found_width, &found_height, &subsampling, &colorspace) == 0 &&
      static_cast<std::size_t>(found_width) == width && static_cast<std::size_t>(found_height) == height &&
      functions_->decompress(handle_, file, bytes, out, found_width, 0, found_height, rgb, accurate_dct) == 0;
  if (!read) {  // some versions hold the warnings of one file against the next
    functions_->destroy(handle_);
    handle_ = nullptr;
  }
  return read;
}

}  // namespace cam
