// A worker thread may be terminated while its maps are computed: nobody is left to hear of an error then.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "cam.h"
#include "picture.h"
#include "pool.h"
#include "resize.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

/**
 * What Node sees: unpack, check lengths against dims, call, return. src/addon.ts holds the types; `interfaceVersion`
 * there and here rises together.
 */
namespace {

constexpr int interface_version = 4;

struct NamedSet {
  cam::InstructionSet set;
  const char* name;
};
constexpr NamedSet named_sets[] = {
    {cam::InstructionSet::scalar, "scalar"},
    {cam::InstructionSet::baseline, "baseline"},
    {cam::InstructionSet::avx2, "avx2"},
    {cam::InstructionSet::avx512, "avx512"},
};

[[noreturn]] void refuse(Napi::Env env, const std::string& name, const std::string& expected) {
  throw Napi::TypeError::New(env, name + " must be " + expected);
}

double number(const Napi::Value& value, const std::string& name) {
  if (!value.IsNumber()) refuse(value.Env(), name, "a number");
  const double x = value.As<Napi::Number>().DoubleValue();
  if (!std::isfinite(x)) refuse(value.Env(), name, "a finite number");
  return x;
}

/** A whole number from `least` to 2³¹ − 1. */
std::size_t whole(const Napi::Value& value, const std::string& name, double least) {
  const double x = number(value, name);
  if (x != std::floor(x) || x < least || x > 2147483647.0) refuse(value.Env(), name, "a whole number in range");
  return static_cast<std::size_t>(x);
}

/** a · b, if it can be the length of an array. */
std::size_t product(Napi::Env env, std::size_t a, std::size_t b) {
  if (b != 0 && a > 9007199254740991ull / b) throw Napi::RangeError::New(env, "the dims are too large");
  return a * b;
}

template <typename Array>
Array array(const Napi::Value& value, const std::string& name, napi_typedarray_type type, std::size_t length) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
    refuse(value.Env(), name, type == napi_float32_array ? "a Float32Array" : "a Uint8Array");
  if (value.As<Napi::TypedArray>().ElementLength() != length)
    throw Napi::RangeError::New(value.Env(), name + " must have " + std::to_string(length) + " elements; it has " +
                                                 std::to_string(value.As<Napi::TypedArray>().ElementLength()));
  return value.As<Array>();
}

Napi::Float32Array floats(const Napi::Value& value, const std::string& name, std::size_t length) {
  return array<Napi::Float32Array>(value, name, napi_float32_array, length);
}

Napi::Uint8Array bytes(const Napi::Value& value, const std::string& name, std::size_t length) {
  return array<Napi::Uint8Array>(value, name, napi_uint8_array, length);
}

Napi::Object object(const Napi::Value& value, const std::string& name) {
  if (!value.IsObject()) refuse(value.Env(), name, "an object");
  return value.As<Napi::Object>();
}

Napi::Array list(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) refuse(value.Env(), name, "an array");
  return value.As<Napi::Array>();
}

cam::Axes axes(const Napi::Value& value, const std::string& name) {
  const Napi::Array dims = list(value, name);
  if (dims.Length() < 1 || dims.Length() > 3) refuse(value.Env(), name, "1 to 3 dims");
  cam::Axes result{static_cast<int>(dims.Length()), {1, 1, 1}};
  std::size_t size = 1;
  for (std::uint32_t i = 0; i < dims.Length(); i++) {
    result.dims[i] = whole(dims.Get(i), name, 1);
    size = product(value.Env(), size, result.dims[i]);
  }
  return result;
}

/**
 * Large pages for a large array that is written for the first time: with small ones the page faults take as long as
 * half of the maps, 8.6 → 6.4 ms for 64 × (2048, 7, 7) → 224². A hint that changes no content and may be ignored.
 */
void advise_large_pages(void* data, std::size_t size) {
#if defined(__linux__)
  constexpr std::uintptr_t page = 4096;
  const std::uintptr_t start = (reinterpret_cast<std::uintptr_t>(data) + page - 1) / page * page;
  const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(data) + size) / page * page;
  if (size >= (4u << 20)) madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE);
#else
  (void)data;
  (void)size;
#endif
}

// --- maps ----------------------------------------------------------------------------------------------------------

/** All of a call's work: the arrays' addresses, and the arrays themselves so that they stay. */
class MapsWorker : public Napi::AsyncWorker {
 public:
  MapsWorker(Napi::Env env, const Napi::Object& request, const Napi::Object& outputs, std::shared_ptr<cam::Pool> pool,
             cam::InstructionSet set)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        plan_(unpack_plan(request)),
        images_(whole(request.Get("images"), "images", 1)),
        pool_(std::move(pool)),
        set_(set) {
    keep_ = Napi::Persistent(Napi::Array::New(env));
    unpack_inputs(request);
    unpack_outputs(outputs);
  }

  Napi::Promise promise() const { return deferred_.Promise(); }

  /** In the calling thread, instead of queueing. */
  bool run() {
    try {
      Execute();
    } catch (const std::exception& error) {  // as the queue does
      throw Napi::Error::New(Env(), error.what());
    }
    return finite_;
  }

 protected:
  void Execute() override {
    const std::size_t size = images_ * plan_.size.size() * sizeof(float);
    for (const cam::Output& output : outputs_) advise_large_pages(output.map, size);
    // Each thread has its own room to work in, and takes images until none is left.
    const std::size_t tasks = images_ * targets_;
    const std::size_t threads = std::min(pool_->threads(), tasks);
    std::vector<std::vector<double>> scratch(threads, std::vector<double>(plan_.scratch()));
    std::atomic<std::size_t> next{0};
    pool_->run(threads, [&](std::size_t thread) {
      for (std::size_t task; (task = next.fetch_add(1)) < tasks;)
        if (!map(task / targets_, task % targets_, scratch[thread].data())) finite_ = false;
    });
  }

  void OnOK() override { deferred_.Resolve(Napi::Boolean::New(Env(), finite_)); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  static cam::Plan unpack_plan(const Napi::Object& request) {
    const std::size_t method = whole(request.Get("method"), "method", 0);
    if (method >= cam::method_count) refuse(request.Env(), "method", "the index of a method");
    const auto flag = [&](const char* name) { return request.Get(name).ToBoolean().Value(); };
    const cam::Settings settings{static_cast<cam::Method>(method), flag("softmax"), flag("alphaNormalization"),
                                 flag("gradientRelu")};
    const cam::Axes layer = axes(request.Get("layer"), "layer");
    const cam::Axes size = axes(request.Get("size"), "size");
    if (layer.rank != size.rank) refuse(request.Env(), "size", "of the layer's rank");
    return cam::Plan(settings, whole(request.Get("channels"), "channels", 1), layer, size);
  }

  const float* read(const Napi::Value& value, const std::string& name, std::size_t length) {
    return hold(floats(value, name, length)).Data();
  }

  template <typename Array>
  Array hold(const Array& array) {
    Napi::Array held = keep_.Value();
    held.Set(held.Length(), array);
    return array;
  }

  void unpack_inputs(const Napi::Object& request) {
    const std::size_t planes = product(Env(), images_, plan_.channels);
    const std::size_t elements = product(Env(), planes, plan_.layer.size());
    activations_ = read(request.Get("activations"), "activations", elements);
    const bool by_weights = plan_.settings.method == cam::Method::cam;
    const char* name = by_weights ? "weights" : "gradients";
    const Napi::Array arrays = list(request.Get(name), name);
    targets_ = arrays.Length();
    if (targets_ == 0) refuse(Env(), name, "one array a target");
    for (std::uint32_t i = 0; i < targets_; i++)
      signals_.push_back(read(arrays.Get(i), name, by_weights ? planes : elements));
    if (plan_.settings.method == cam::Method::grad_cam_plus_plus && plan_.settings.softmax) {
      const Napi::Array moments = list(request.Get("moments"), "moments");
      if (moments.Length() != 3) refuse(Env(), "moments", "three arrays");
      for (std::uint32_t i = 0; i < 3; i++) moments_[i] = read(moments.Get(i), "moments", elements);
    }
  }

  void unpack_outputs(const Napi::Object& outputs) {
    const Napi::Array raw = list(outputs.Get("raw"), "raw");
    const Napi::Array maps = list(outputs.Get("maps"), "maps");
    const Napi::Array empty = list(outputs.Get("empty"), "empty");
    if (raw.Length() != targets_ || maps.Length() != targets_ || empty.Length() != targets_)
      refuse(Env(), "outputs", "one array a target");
    for (std::uint32_t i = 0; i < targets_; i++)
      outputs_.push_back({hold(floats(raw.Get(i), "raw", product(Env(), images_, plan_.layer.size()))).Data(),
                          hold(floats(maps.Get(i), "maps", product(Env(), images_, plan_.size.size()))).Data(),
                          hold(bytes(empty.Get(i), "empty", images_)).Data()});
  }

  bool map(std::size_t image, std::size_t target, double* scratch) const {
    const std::size_t positions = plan_.layer.size();
    const std::size_t planes = image * plan_.channels;
    const std::size_t at = planes * positions;
    const bool by_weights = plan_.settings.method == cam::Method::cam;
    const float* signal = signals_[target];
    const cam::Image input{activations_ + at,
                           by_weights ? nullptr : signal + at,
                           by_weights ? signal + planes : nullptr,
                           moments_[0] ? moments_[0] + at : nullptr,
                           moments_[1] ? moments_[1] + at : nullptr,
                           moments_[2] ? moments_[2] + at : nullptr};
    const cam::Output& out = outputs_[target];
    return cam::map_image(plan_, input,
                          {out.raw + image * positions, out.map + image * plan_.size.size(), out.empty + image},
                          scratch, set_);
  }

  Napi::Promise::Deferred deferred_;
  const cam::Plan plan_;
  const std::size_t images_;
  std::size_t targets_ = 0;
  Napi::Reference<Napi::Array> keep_;
  const float* activations_ = nullptr;
  std::vector<const float*> signals_;
  const float* moments_[3] = {nullptr, nullptr, nullptr};
  std::vector<cam::Output> outputs_;
  const std::shared_ptr<cam::Pool> pool_;
  const cam::InstructionSet set_;
  std::atomic<bool> finite_{true};
};

class PoolObject : public Napi::ObjectWrap<PoolObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Pool",
                       {
                           InstanceAccessor<&PoolObject::threads>("threads"),
                           InstanceAccessor<&PoolObject::instruction_set>("instructionSet"),
                           InstanceMethod<&PoolObject::maps>("maps"),
                           InstanceMethod<&PoolObject::maps_now>("mapsNow"),
                           InstanceMethod<&PoolObject::close>("close"),
                       });
  }

  explicit PoolObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PoolObject>(info) {
    const std::size_t threads = whole(info[0], "threads", 1);
    if (threads > 256) refuse(info.Env(), "threads", "at most 256");
    set_ = widest();
    if (!info[1].IsUndefined()) {
      const std::string name = info[1].ToString().Utf8Value();
      const auto found = std::find_if(std::begin(named_sets), std::end(named_sets),
                                      [&](const NamedSet& named) { return name == named.name && cam::has(named.set); });
      if (found == std::end(named_sets)) refuse(info.Env(), "instructionSet", "one that this processor has");
      set_ = *found;
    }
    pool_ = std::make_shared<cam::Pool>(threads);
    threads_ = threads;
  }

 private:
  static NamedSet widest() {
    NamedSet best = named_sets[0];
    for (const NamedSet& named : named_sets)
      if (cam::has(named.set)) best = named;
    return best;
  }

  Napi::Value threads(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(threads_));
  }

  Napi::Value instruction_set(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), set_.name); }

  Napi::Value maps(const Napi::CallbackInfo& info) {
    if (!pool_) throw Napi::Error::New(info.Env(), "the pool is closed");
    auto worker = std::make_unique<MapsWorker>(info.Env(), object(info[0], "request"), object(info[1], "outputs"),
                                               pool_, set_.set);
    const Napi::Promise promise = worker->promise();
    worker.release()->Queue();  // deletes itself
    return promise;
  }

  Napi::Value maps_now(const Napi::CallbackInfo& info) {
    if (!pool_) throw Napi::Error::New(info.Env(), "the pool is closed");
    MapsWorker worker(info.Env(), object(info[0], "request"), object(info[1], "outputs"), pool_, set_.set);
    return Napi::Boolean::New(info.Env(), worker.run());
  }

  void close(const Napi::CallbackInfo&) { pool_.reset(); }

  NamedSet set_;
  std::size_t threads_;
  std::shared_ptr<cam::Pool> pool_;
};

// --- pictures: the functions of src/image/resize.ts, normalize.ts, blend.ts and runs.ts -------------

struct Picture {
  Napi::Uint8Array data;
  std::size_t width;
  std::size_t height;
  std::size_t channels;
};

/** Arguments 0 to 3. */
Picture picture(const Napi::CallbackInfo& info) {
  const std::size_t width = whole(info[1], "width", 1);
  const std::size_t height = whole(info[2], "height", 1);
  const std::size_t channels = whole(info[3], "channels", 1);
  if (channels > 4) refuse(info.Env(), "channels", "at most 4");
  const std::size_t length = product(info.Env(), product(info.Env(), width, height), channels);
  return {bytes(info[0], "source", length), width, height, channels};
}

cam::ResizePlan resize_plan(const Napi::Value& value) {
  const Napi::Object plan = object(value, "plan");
  const Napi::Object window = object(plan.Get("window"), "plan.window");
  const cam::ResizePlan result{whole(plan.Get("width"), "plan.width", 1),
                               whole(plan.Get("height"), "plan.height", 1),
                               whole(window.Get("x"), "plan.window.x", 0),
                               whole(window.Get("y"), "plan.window.y", 0),
                               whole(window.Get("width"), "plan.window.width", 1),
                               whole(window.Get("height"), "plan.window.height", 1)};
  if (result.window_x + result.window_width > result.width || result.window_y + result.window_height > result.height)
    throw Napi::RangeError::New(value.Env(), "plan.window must lie within the resized picture");
  return result;
}

std::size_t window_length(Napi::Env env, const cam::ResizePlan& plan, std::size_t channels) {
  return product(env, product(env, plan.window_width, plan.window_height), channels);
}

Napi::Value resize_pillow(const Napi::CallbackInfo& info) {
  const Picture source = picture(info);
  const cam::ResizePlan plan = resize_plan(info[4]);
  const std::string filter = info[5].ToString().Utf8Value();
  if (filter != "bilinear" && filter != "bicubic") refuse(info.Env(), "filter", "bilinear or bicubic");
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), window_length(info.Env(), plan, source.channels));
  cam::resize_pillow(source.data.Data(), source.width, source.height, source.channels, plan,
                     filter == "bicubic" ? cam::Filter::bicubic : cam::Filter::bilinear, out.Data());
  return out;
}

Napi::Value resize_torch_bilinear(const Napi::CallbackInfo& info) {
  const Picture source = picture(info);
  const cam::ResizePlan plan = resize_plan(info[4]);
  const std::size_t length = window_length(info.Env(), plan, source.channels);
  Napi::Float32Array out =
      info[5].IsUndefined() ? Napi::Float32Array::New(info.Env(), length) : floats(info[5], "out", length);
  cam::resize_torch_bilinear(source.data.Data(), source.width, source.height, source.channels, plan, out.Data());
  return out;
}

void normalize(const Napi::CallbackInfo& info, bool planar) {
  const Napi::Object steps = object(info[1], "steps");
  const Napi::Array order = list(steps.Get("order"), "order");
  const Napi::Array mean = list(steps.Get("mean"), "mean");
  const Napi::Array deviation = list(steps.Get("std"), "std");
  const double range = number(steps.Get("range"), "range");
  const std::size_t channels = order.Length();
  if (channels == 0 || mean.Length() != channels || deviation.Length() != channels)
    refuse(info.Env(), "mean and std", "one number a channel");
  if (!info[0].IsTypedArray()) refuse(info.Env(), "source", "a typed array");
  const std::size_t length = info[0].As<Napi::TypedArray>().ElementLength();
  if (length % channels != 0) throw Napi::RangeError::New(info.Env(), "source must be a whole number of pixels");
  const std::size_t positions = length / channels;
  const bool is_float = info[0].As<Napi::TypedArray>().TypedArrayType() == napi_float32_array;
  const float* from_floats = is_float ? floats(info[0], "source", length).Data() : nullptr;
  const std::uint8_t* from_bytes = is_float ? nullptr : bytes(info[0], "source", length).Data();
  float* out = floats(info[2], "out", length).Data();
  for (std::uint32_t c = 0; c < channels; c++) {
    const cam::ChannelSteps channel{whole(order.Get(c), "order", 0), 255 / range,
                                    static_cast<float>(number(mean.Get(c), "mean")),
                                    static_cast<float>(number(deviation.Get(c), "std"))};
    if (channel.source >= channels) throw Napi::RangeError::New(info.Env(), "order must name channels of the source");
    float* to = planar ? out + c * positions : out + c;
    const std::size_t step = planar ? 1 : channels;
    if (is_float)
      cam::normalize_channel(from_floats, positions, channels, channel, to, step);
    else
      cam::normalize_channel(from_bytes, positions, channels, channel, to, step);
  }
}

void normalize_to_chw(const Napi::CallbackInfo& info) { normalize(info, true); }
void normalize_to_hwc(const Napi::CallbackInfo& info) { normalize(info, false); }

cam::PixelBox pixel_box(const Napi::Value& value) {
  const Napi::Object box = object(value, "box");
  return {whole(box.Get("left"), "box.left", 0), whole(box.Get("top"), "box.top", 0),
          whole(box.Get("width"), "box.width", 0), whole(box.Get("height"), "box.height", 0)};
}

Napi::Value stretch_map(const Napi::CallbackInfo& info) {
  const cam::Axes dims = axes(info[1], "dims");
  if (dims.rank != 2) refuse(info.Env(), "dims", "[h, w]");
  const Napi::Float32Array map = floats(info[0], "map", dims.size());
  const Napi::Object rectangle = object(info[2], "over");
  const cam::Rectangle over{number(rectangle.Get("x"), "over.x"), number(rectangle.Get("y"), "over.y"),
                            number(rectangle.Get("width"), "over.width"),
                            number(rectangle.Get("height"), "over.height")};
  if (!(over.width > 0 && over.height > 0)) refuse(info.Env(), "over", "larger than nothing");
  const cam::PixelBox box = pixel_box(info[3]);
  const std::size_t length = product(info.Env(), box.width, box.height);
  Napi::Float32Array out =
      info[4].IsUndefined() ? Napi::Float32Array::New(info.Env(), length) : floats(info[4], "out", length);
  cam::stretch_map(map.Data(), dims.dims[0], dims.dims[1], over, box, out.Data());
  return out;
}

void blend(const Napi::CallbackInfo& info) {
  const std::size_t width = whole(info[1], "width", 1);
  if (!info[0].IsTypedArray()) refuse(info.Env(), "pixels", "a Uint8Array");
  const std::size_t length = info[0].As<Napi::TypedArray>().ElementLength();
  const Napi::Uint8Array pixels = bytes(info[0], "pixels", length);
  if (length % (width * 3) != 0) throw Napi::RangeError::New(info.Env(), "pixels must be whole rows");
  const std::size_t height = length / (width * 3);
  const cam::PixelBox box = pixel_box(info[2]);
  if (box.left + box.width > width || box.top + box.height > height)
    throw Napi::RangeError::New(info.Env(), "box must lie within the picture");
  const Napi::Float32Array map = floats(info[3], "map", product(info.Env(), box.width, box.height));
  const Napi::Uint8Array table = bytes(info[4], "table", 768);
  const double opacity = number(info[5], "opacity");
  const double outside = number(info[6], "outside");
  if (opacity < 0 || opacity > 1 || outside < 0 || outside > 1)
    throw Napi::RangeError::New(info.Env(), "opacity and outside must lie between 0 and 1");
  Napi::Uint8Array out = bytes(info[7], "out", length);
  cam::blend(pixels.Data(), width, height, box, map.Data(), table.Data(), opacity, outside, out.Data());
}

Napi::Value salient_runs(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray()) refuse(info.Env(), "map", "a Float32Array");
  const std::size_t length = info[0].As<Napi::TypedArray>().ElementLength();
  const Napi::Float32Array map = floats(info[0], "map", length);
  const std::size_t width = whole(info[1], "width", 1);
  if (length % width != 0) throw Napi::RangeError::New(info.Env(), "map must be whole rows");
  const std::vector<cam::Run> runs = cam::salient_runs(map.Data(), length / width, width, number(info[2], "share"));
  Napi::Float64Array out = Napi::Float64Array::New(info.Env(), runs.size() * 3);
  double* to = out.Data();
  for (const cam::Run& run : runs) {
    *to++ = run.start;
    *to++ = run.end;
    *to++ = run.mass;
  }
  return out;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("interfaceVersion", interface_version);
  const Napi::Array sets = Napi::Array::New(env);
  for (const NamedSet& named : named_sets)
    if (cam::has(named.set)) sets.Set(sets.Length(), named.name);
  exports.Set("instructionSets", sets);
  exports.Set("Pool", PoolObject::define(env));
  exports.Set("resizePillow", Napi::Function::New<resize_pillow>(env));
  exports.Set("resizeTorchBilinear", Napi::Function::New<resize_torch_bilinear>(env));
  exports.Set("normalizeToCHW", Napi::Function::New<normalize_to_chw>(env));
  exports.Set("normalizeToHWC", Napi::Function::New<normalize_to_hwc>(env));
  exports.Set("stretchMap", Napi::Function::New<stretch_map>(env));
  exports.Set("blend", Napi::Function::New<blend>(env));
  exports.Set("salientRuns", Napi::Function::New<salient_runs>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(gradcampp, initialize)
