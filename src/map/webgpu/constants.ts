/** WebGPU's own numbers for GPUBufferUsage, GPUTextureUsage and GPUMapMode, which are globals only in browsers. */
export const usage = {
  mapRead: 0x1,
  copySource: 0x4,
  copyDestination: 0x8,
  uniform: 0x40,
  storage: 0x80,
  queryResolve: 0x200,
} as const;
export const textureUsage = {
  copySource: 0x1,
  copyDestination: 0x2,
  binding: 0x4,
  attachment: 0x10,
} as const;
export const mapForReading = 1;
