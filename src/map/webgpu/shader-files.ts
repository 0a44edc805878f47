/** The kernel with subgroup operations and the one without, and the overlay, in `shaders/`. */
export const shaderFiles = {
  subgroups: 'map_subgroups.wgsl',
  plain: 'map.wgsl',
  overlay: 'overlay.wgsl',
} as const;
export type ShaderFile = (typeof shaderFiles)[keyof typeof shaderFiles];
