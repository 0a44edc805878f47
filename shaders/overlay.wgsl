// A picture under the colours of a map, drawn on a canvas of the picture's size. What src/image/blend.ts does on the
// processor, in float32: the map is stretched over a rectangle of the picture (bilinear, edges clamped), takes its
// colours from a table of 256, and is mixed with the picture; what lies outside the rectangle is darker; where the map
// is below the threshold the picture stays as it is.

struct Look {
  over: vec4<f32>, // x, y, width, height of the rectangle, in pixels of the canvas
  map_size: vec2<u32>, // width, height
  start: u32, // where the map begins in `maps`
  opacity: f32,
  outside: f32, // what the picture is multiplied by outside the rectangle
  threshold: f32,
}

@group(0) @binding(0) var<uniform> look: Look;
@group(0) @binding(1) var picture: texture_2d<f32>;
@group(0) @binding(2) var<storage, read> maps: array<f32>;
@group(0) @binding(3) var<storage, read> colours: array<u32>; // 256, RGBA bytes

// One triangle that covers the canvas.
@vertex
fn corners(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
  let corner = vec2<f32>(f32(index & 1u), f32(index >> 1u));
  return vec4<f32>(4.0 * corner - 1.0, 0.0, 1.0);
}

fn map_at(x: u32, y: u32) -> f32 {
  return maps[look.start + y * look.map_size.x + x];
}

// The map at a point of the canvas.
fn value_at(point: vec2<f32>) -> f32 {
  let size = vec2<f32>(look.map_size);
  let at = clamp((point - look.over.xy) * size / look.over.zw - 0.5, vec2<f32>(), size - 1.0);
  let low = vec2<u32>(floor(at));
  let high = min(low + 1u, look.map_size - 1u);
  let share = at - floor(at);
  let left = mix(map_at(low.x, low.y), map_at(low.x, high.y), share.y);
  let right = mix(map_at(high.x, low.y), map_at(high.x, high.y), share.y);
  return mix(left, right, share.x);
}

@fragment
fn colour(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
  let place = vec2<u32>(position.xy);
  let own = textureLoad(picture, min(place, textureDimensions(picture) - 1u), 0).rgb;
  let inner = position.xy - look.over.xy;
  if (any(inner < vec2<f32>()) || any(inner >= look.over.zw)) {
    return vec4<f32>(own * look.outside, 1.0);
  }
  let value = value_at(position.xy);
  if (value < look.threshold) {
    return vec4<f32>(own, 1.0);
  }
  let level = u32(clamp(value, 0.0, 1.0) * 255.0 + 0.5);
  return vec4<f32>(mix(own, unpack4x8unorm(colours[level]).rgb, look.opacity), 1.0);
}
