// The map stage in one dispatch. How invocations form teams stands in a file of its own, with subgroup operations or
// without (teams_subgroups.wgsl, teams.wgsl): a module is one of them, then this.

// One request. A workgroup computes the whole map of one image and one target: dispatch (images, targets, 1).
//
//   w_k   per channel (or per position), by `method`, from activations A and gradients g, [channels, positions] each
//   raw   relu(sum_k w_k A_k), at layer size
//   map   raw, upsampled (linear, half-pixel centres) to the output size, (map - min) / (max - min)
//
//   grad-cam++   w = sum alpha relu(g), alpha = 1 / (2 + g sum A)                          (arXiv 1710.11063, Eq. 19)
//     softmax    w = sum alpha relu(d), alpha = Y2 / (2 Y2 + Y3 sum A), d = g - mean,
//                Y2 = d^2 - variance, Y3 = d^3 - 3 d variance - third                      (Eq. 10, in cumulants)
//   grad-cam     w = mean g                                                                (arXiv 1610.02391, Eq. 1)
//   cam          w is given                                                                (arXiv 1512.04150, Eq. 2)
//   xgrad-cam    w = sum A g / sum A, 0 where sum A is 0                                   (arXiv 2008.02312, Eq. 8)
//   hires-cam    w = g, layer-cam w = relu(g), at every position
//
// Channels are taken a tile at a time. A team of invocations weighs one channel, reading it once; then every
// invocation adds the tile's channels at its own positions, while they are still in the cache. Layers of any size
// keep their sums in `results`, where a workgroup sees its own writes after a storage barrier; small ones keep them
// in workgroup memory.
//
// Rounding. WGSL lets a compiler reassociate, which would undo Kahan's sums, so sums are kept short by structure:
// blocks of 32 within an invocation, a tree over a team, one partial sum a tile. Magnitudes: numbers are taken as
// they are while the largest |A| and the largest |g| lie within 2^-24 ... 2^24; otherwise the workgroup starts again
// with both divided by a power of two that brings the largest to 1 ... 2, exactly and by their bits, so that neither
// an overflow nor a flushed subnormal decides a map. What is below 2^-100 of the largest may then count as zero.
// Numbers that are not finite are reported in the head; the map is then worthless.

override workgroup_size: u32 = 256;
override method: u32 = 0; // an index into MapMethod's list
override softmax: bool = false;
override alpha_normalization: bool = false; // divide by the sum of alpha where the gradient is positive
override gradient_relu: bool = true;

const grad_cam_plus_plus = 0u;
const grad_cam = 1u;
const cam = 2u;
const xgrad_cam = 3u;
const hires_cam = 4u;
const layer_cam = 5u;

const block_length = 32u;
const small_positions = 1024u; // layers up to here keep their map in workgroup memory; not below workgroup_size
const tile_elements = 4096u; // activations of one tile, 16 KiB: what a first-level cache keeps
const safe_exponent = 24;
const alpha_exponent = 100;
const infinity_bits = 0x7f800000u;

struct Dims {
  images: u32,
  channels: u32,
  positions: u32,
  pixels: u32,
  size: vec3<u32>, // output: t, h, w; 1 where the map has fewer axes
  layer_depth: u32, // t of the layer
  raw_start: u32, // where raw maps begin in `results`
  maps_start: u32, // where maps begin in `results`
}

// Where an output coordinate lies between two of the layer, as element offsets along its axis.
struct Tap {
  low: u32,
  high: u32,
  fraction: f32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> taps: array<Tap>; // of w, then of h, then of t
@group(0) @binding(2) var<storage, read> activations: array<f32>; // [images, channels, positions]
@group(0) @binding(3) var<storage, read> gradients: array<f32>; // [targets, images, channels, positions]; cam: weights, [targets, images, channels]
@group(0) @binding(4) var<storage, read> mean: array<f32>; // softmax only, as activations
@group(0) @binding(5) var<storage, read> variance: array<f32>;
@group(0) @binding(6) var<storage, read> third: array<f32>;
// heads [targets, images, 4]: exponent (raw is to be multiplied by 2^exponent), 1 where raw is zero everywhere, 1 where
// all input is finite, 0; then raw [targets, images, positions]; then maps [targets, images, pixels]
@group(0) @binding(7) var<storage, read_write> results: array<f32>;

var<workgroup> tile_weights: array<f32, workgroup_size>;
var<workgroup> small_map: array<f32, small_positions>;
// Largest bits over the workgroup: 0 |A|, 1 |g|, 2 |mean|, 3 |variance|, 4 |third|, 5 raw, 6 map, 7 the complement of map.
var<workgroup> largest: array<atomic<u32>, 8>;
var<workgroup> settled: vec2<i32>;

// Largest bits this invocation has read, as the first five of `largest`.
var<private> read_activations: u32;
var<private> read_gradients: u32;
var<private> read_moments: vec3<u32>;
// What A and g are divided by, as powers of two, and 2^(their sum) for alpha's g sum A.
var<private> exponents: vec2<i32>;
var<private> alpha_scale: f32;
// This invocation's team, its place in it, and how many the team has.
var<private> team: u32;
var<private> lane: u32;
var<private> lanes: u32;

fn magnitude_bits(value: f32) -> u32 {
  return bitcast<u32>(value) & 0x7fffffffu;
}

// 2^exponent, exponent in -126 ... 127
fn power_of_two(exponent: i32) -> f32 {
  return bitcast<f32>(u32(exponent + 127) << 23u);
}

// value / 2^exponent, exact but for results below 2^-126, which become 0. No step can flush a subnormal.
fn divided(value: f32, exponent: i32) -> f32 {
  if (exponent == 0) {
    return value;
  }
  let bits = bitcast<u32>(value);
  let sign = bits & 0x80000000u;
  let mantissa = bits & 0x007fffffu;
  let field = i32((bits >> 23u) & 0xffu);
  if (field == 0) {
    let scale = -149 - exponent;
    if (scale < -126) {
      return 0.0;
    }
    return bitcast<f32>(sign | bitcast<u32>(f32(mantissa) * power_of_two(scale)));
  }
  if (field <= exponent) {
    return 0.0;
  }
  return bitcast<f32>(sign | (u32(field - exponent) << 23u) | mantissa);
}

fn activation(index: u32) -> f32 {
  let value = activations[index];
  read_activations = max(read_activations, magnitude_bits(value));
  return divided(value, exponents.x);
}

fn gradient(index: u32) -> f32 {
  let value = gradients[index];
  read_gradients = max(read_gradients, magnitude_bits(value));
  return divided(value, exponents.y);
}

// mean, variance and third central moment at an index of the activations
fn moments(index: u32) -> vec3<f32> {
  let m = mean[index];
  let v = variance[index];
  let t = third[index];
  read_moments = max(read_moments, vec3<u32>(magnitude_bits(m), magnitude_bits(v), magnitude_bits(t)));
  return vec3<f32>(divided(m, exponents.y), divided(v, 2 * exponents.y), divided(t, 3 * exponents.y));
}

fn ratio(numerator: f32, denominator: f32) -> f32 {
  if (denominator == 0.0) {
    return 0.0;
  }
  return numerator / denominator;
}

// What one position adds to alpha relu(Y') and, where Y' > 0, to alpha.
fn alpha_terms(activation_index: u32, gradient_index: u32, total: f32) -> vec2<f32> {
  var slope = gradient(gradient_index);
  var alpha = 0.0;
  if (softmax) {
    let m = moments(activation_index);
    slope = slope - m.x;
    let second = slope * slope - m.y;
    let third_order = slope * slope * slope - 3.0 * slope * m.y - m.z;
    alpha = ratio(second, 2.0 * second + third_order * total * alpha_scale);
  } else {
    alpha = ratio(1.0, 2.0 + slope * total * alpha_scale);
  }
  if (slope > 0.0) {
    return vec2<f32>(alpha * slope, alpha);
  }
  if (gradient_relu) {
    return vec2<f32>();
  }
  return vec2<f32>(alpha * slope, 0.0);
}

// The terms of the first sums of a channel (total is not known yet) and of the second.
fn terms(second: bool, activation_index: u32, gradient_index: u32, total: f32) -> vec2<f32> {
  if (method == grad_cam) {
    return vec2<f32>(gradient(gradient_index), 0.0);
  }
  if (method == xgrad_cam) {
    let a = activation(activation_index);
    return vec2<f32>(a, a * gradient(gradient_index));
  }
  if (second) {
    return alpha_terms(activation_index, gradient_index, total);
  }
  return vec2<f32>(activation(activation_index), 0.0);
}

// The team's sums of `terms` over `count` positions of a channel.
fn channel_sums(second: bool, activation_start: u32, gradient_start: u32, count: u32, total: f32) -> vec2<f32> {
  var sums = vec2<f32>();
  let stride = block_length * lanes;
  for (var block_start = lane; block_start < count; block_start += stride) {
    var block = vec2<f32>();
    let end = min(count, block_start + stride);
    for (var p = block_start; p < end; p += lanes) {
      block += terms(second, activation_start + p, gradient_start + p, total);
    }
    sums += block;
  }
  return team_sum(sums);
}

// w_k, the same in the whole team; `count` is 0 for a team without a channel.
fn channel_weight(activation_start: u32, gradient_start: u32, count: u32) -> f32 {
  let first = channel_sums(false, activation_start, gradient_start, count, 0.0);
  if (method == grad_cam) {
    return first.x / f32(dims.positions);
  }
  if (method == xgrad_cam) {
    return ratio(first.y, first.x);
  }
  let second = channel_sums(true, activation_start, gradient_start, count, first.x);
  if (alpha_normalization) {
    return ratio(second.x, second.y);
  }
  return second.x;
}

// Fills tile_weights for `count` channels; ends before a barrier that the caller owes.
fn weigh_tile(first: u32, count: u32, teams: u32, activation_base: u32, gradient_base: u32, invocation: u32) {
  if (method == hires_cam || method == layer_cam) {
    return;
  }
  if (method == cam) {
    for (var c = invocation; c < count; c += workgroup_size) {
      tile_weights[c] = gradient(gradient_base + first + c);
    }
    return;
  }
  for (var round = 0u; round < count; round += teams) {
    let c = round + team;
    let start = (first + c) * dims.positions;
    let positions = select(0u, dims.positions, c < count);
    let weight = channel_weight(activation_base + start, gradient_base + start, positions);
    if (lane == 0u && c < count) {
      tile_weights[c] = weight;
    }
  }
}

// sum of w_c A_c at position p over the tile's channels offset, offset + stride, ...
fn tile_sum(first: u32, count: u32, offset: u32, stride: u32, p: u32, activation_base: u32, gradient_base: u32) -> f32 {
  var sum = 0.0;
  for (var c = offset; c < count; c += stride) {
    let at = (first + c) * dims.positions + p;
    let a = activation(activation_base + at);
    if (method == hires_cam) {
      sum += gradient(gradient_base + at) * a;
    } else if (method == layer_cam) {
      sum += max(gradient(gradient_base + at), 0.0) * a;
    } else {
      sum += tile_weights[c] * a;
    }
  }
  return sum;
}

fn load_map(raw_base: u32, p: u32) -> f32 {
  if (dims.positions <= small_positions) {
    return small_map[p];
  }
  return results[raw_base + p];
}

fn store_map(raw_base: u32, p: u32, value: f32) {
  if (dims.positions <= small_positions) {
    small_map[p] = value;
  } else {
    results[raw_base + p] = value;
  }
}

// Leaves sum_k w_k A_k of every position in the map; position p belongs to invocation p mod workgroup_size.
fn add_channels(teams: u32, activation_base: u32, gradient_base: u32, raw_base: u32, invocation: u32) {
  // A slot is a position and a part of the channels: in small layers several invocations share a position, each with
  // every parts-th channel, so that neighbouring invocations read neighbouring elements.
  let positions = dims.positions;
  let parts = max(1u, workgroup_size / positions);
  let wanted = clamp(tile_elements / positions, 1u, workgroup_size);
  let tile = min(workgroup_size, (wanted + teams - 1u) / teams * teams);

  for (var first = 0u; first < dims.channels; first += tile) {
    let count = min(tile, dims.channels - first);
    weigh_tile(first, count, teams, activation_base, gradient_base, invocation);
    workgroupBarrier();
    for (var slot = invocation; slot < positions * parts; slot += workgroup_size) {
      var part = 0u;
      if (parts > 1u) {
        part = slot / positions;
      }
      var sum = tile_sum(first, count, part, parts, slot - part * positions, activation_base, gradient_base);
      if (first > 0u) {
        sum += load_map(raw_base, slot);
      }
      store_map(raw_base, slot, sum);
    }
    workgroupBarrier();
  }

  if (parts > 1u && invocation < positions) {
    var sum = 0.0;
    for (var part = 0u; part < parts; part++) {
      sum += load_map(raw_base, part * positions + invocation);
    }
    store_map(raw_base, invocation, sum);
  }
}

// The exponent e of 2^e <= x < 2^(e + 1), x > 0 given by its bits; 0 for x = 0.
fn exponent_of(bits: u32) -> i32 {
  if (bits == 0u) {
    return 0;
  }
  if (bits < 0x00800000u) {
    return i32(firstLeadingBit(bits)) - 149;
  }
  return i32(bits >> 23u) - 127;
}

fn ceiling_divide(value: i32, by: i32) -> i32 {
  return select(value / by, (value + by - 1) / by, value > 0);
}

// An exponent that the formulas stand as it is counts as 0.
fn unless_safe(exponent: i32) -> i32 {
  return select(exponent, 0, abs(exponent) <= safe_exponent);
}

// The exponents of the largest |A| and |g| (moments counted as the gradients they come from), the same for the workgroup.
fn settle_exponents(invocation: u32) -> vec2<i32> {
  raise(0u, read_activations);
  raise(1u, read_gradients);
  if (softmax) {
    raise(2u, read_moments.x);
    raise(3u, read_moments.y);
    raise(4u, read_moments.z);
  }
  workgroupBarrier();
  if (invocation == 0u) {
    var of_gradients = exponent_of(atomicLoad(&largest[1]));
    if (softmax) {
      let m = atomicLoad(&largest[2]);
      let v = atomicLoad(&largest[3]);
      let t = atomicLoad(&largest[4]);
      if (atomicLoad(&largest[1]) == 0u || (m != 0u && exponent_of(m) > of_gradients)) {
        of_gradients = exponent_of(m);
      }
      if (v != 0u) {
        of_gradients = max(of_gradients, ceiling_divide(exponent_of(v), 2));
      }
      if (t != 0u) {
        of_gradients = max(of_gradients, ceiling_divide(exponent_of(t), 3));
      }
    }
    settled = vec2<i32>(unless_safe(exponent_of(atomicLoad(&largest[0]))), unless_safe(of_gradients));
    if (!all_finite()) {
      settled = vec2<i32>();
    }
  }
  return workgroupUniformLoad(&settled);
}

fn all_finite() -> bool {
  var most = 0u;
  for (var i = 0u; i < 5u; i++) {
    most = max(most, atomicLoad(&largest[i]));
  }
  return most < infinity_bits;
}

// What raw is to be multiplied by, as a power of two. Where g sum A was held at 2^alpha_exponent, alpha came out too
// large by what was held back.
fn raw_exponent() -> i32 {
  let exponent = exponents.x + exponents.y;
  if (method == grad_cam_plus_plus && !alpha_normalization) {
    return min(exponent, alpha_exponent);
  }
  return exponent;
}

fn mix_taps(raw_base: u32, row: u32, x: Tap) -> f32 {
  let a = load_map(raw_base, row + x.low);
  return a + x.fraction * (load_map(raw_base, row + x.high) - a);
}

fn mix_rows(raw_base: u32, plane: u32, y: Tap, x: Tap) -> f32 {
  let a = mix_taps(raw_base, plane + y.low, x);
  return a + y.fraction * (mix_taps(raw_base, plane + y.high, x) - a);
}

// a + t (b - a) along every axis: a constant map stays exactly constant.
fn upsampled(raw_base: u32, t: u32, y: u32, x: u32) -> f32 {
  let x_tap = taps[x];
  let y_tap = taps[dims.size.z + y];
  let t_tap = taps[dims.size.z + dims.size.y + t];
  let a = mix_rows(raw_base, t_tap.low, y_tap, x_tap);
  if (dims.layer_depth == 1u) {
    return a;
  }
  return a + t_tap.fraction * (mix_rows(raw_base, t_tap.high, y_tap, x_tap) - a);
}

// Upsamples twice, once for the range and once to write, instead of passing the map through memory in between.
fn write_map(raw_base: u32, map_base: u32, invocation: u32) {
  let width = dims.size.z;
  let height = dims.size.y;
  // workgroup_size as a number of the mixed radix (t, h, w), to step without dividing
  let step_x = workgroup_size % width;
  let step_y = workgroup_size / width % height;
  let step_t = workgroup_size / width / height;
  var least = 0.0;
  var range = 0.0;
  for (var writing = 0u; writing < 2u; writing++) {
    var x = invocation % width;
    var y = invocation / width % height;
    var t = invocation / width / height;
    var most_bits = 0u;
    var least_complement = 0u;
    for (var pixel = invocation; pixel < dims.pixels; pixel += workgroup_size) {
      let value = max(upsampled(raw_base, t, y, x), 0.0);
      if (writing == 0u) {
        most_bits = max(most_bits, magnitude_bits(value));
        least_complement = max(least_complement, ~magnitude_bits(value));
      } else if (range > 0.0) {
        results[map_base + pixel] = clamp((value - least) / range, 0.0, 1.0);
      } else {
        results[map_base + pixel] = select(0.0, 1.0, least > 0.0);
      }
      x += step_x;
      y += step_y;
      t += step_t;
      if (x >= width) {
        x -= width;
        y++;
      }
      if (y >= height) {
        y -= height;
        t++;
      }
    }
    if (writing == 0u) {
      raise(6u, most_bits);
      raise(7u, least_complement);
      workgroupBarrier();
      least = bitcast<f32>(~atomicLoad(&largest[7]));
      range = bitcast<f32>(atomicLoad(&largest[6])) - least;
    }
  }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
  let image = workgroup.x;
  let unit = workgroup.y * dims.images + image; // the map's place among all maps
  let plane = dims.channels * select(dims.positions, 1u, method == cam);
  let activation_base = image * dims.channels * dims.positions;
  let gradient_base = unit * plane;
  let raw_base = dims.raw_start + unit * dims.positions;

  let teams = form_teams(invocation);
  var attempted = vec2<i32>();
  for (var attempt = 0u; attempt < 2u; attempt++) {
    exponents = attempted;
    alpha_scale = power_of_two(clamp(exponents.x + exponents.y, -alpha_exponent, alpha_exponent));
    add_channels(teams, activation_base, gradient_base, raw_base, invocation);
    let wanted = settle_exponents(invocation);
    if (all(wanted == attempted)) {
      break;
    }
    attempted = wanted;
  }

  var raw_bits = 0u;
  for (var p = invocation; p < dims.positions; p += workgroup_size) {
    let value = load_map(raw_base, p);
    let rectified = select(0.0, value, value > 0.0);
    raw_bits = max(raw_bits, magnitude_bits(rectified));
    store_map(raw_base, p, rectified);
    results[raw_base + p] = rectified;
  }
  raise(5u, raw_bits);
  storageBarrier();
  workgroupBarrier();
  if (invocation == 0u) {
    results[unit * 4u] = f32(raw_exponent());
    results[unit * 4u + 1u] = select(0.0, 1.0, atomicLoad(&largest[5]) == 0u);
    results[unit * 4u + 2u] = select(0.0, 1.0, all_finite());
    results[unit * 4u + 3u] = 0.0;
  }
  write_map(raw_base, dims.maps_start + unit * dims.pixels, invocation);
}
