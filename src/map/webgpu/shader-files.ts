/** The module with subgroup operations and the one without, in `shaders/`. */
export const shaderFiles = { subgroups: 'map_subgroups.wgsl', plain: 'map.wgsl' } as const;
export type ShaderFile = (typeof shaderFiles)[keyof typeof shaderFiles];
