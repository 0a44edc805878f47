/** The map stage, in `shaders/`. */
export const stageFile = 'map.wgsl';
/** How invocations form teams, with subgroup operations and without: a module is one of these, then the stage. */
export const teamFiles = { subgroups: 'teams_subgroups.wgsl', plain: 'teams.wgsl' } as const;
export type TeamFile = (typeof teamFiles)[keyof typeof teamFiles];
/** The overlay, a module of its own. */
export const overlayFile = 'overlay.wgsl';
export type ShaderFile = TeamFile | typeof stageFile | typeof overlayFile;
