/** Functions whose modules are loaded at their first call, so that importing the package costs little. */

/** What a model has that can be explained, and whether it can: see `Inspection`. */
export const inspect: typeof import('./explain/inspect.js').inspect = async (model, options) =>
  (await import('./explain/inspect.js')).inspect(model, options);

/** A model that explains itself in any ONNX runtime, without this package: see `ExportOptions`. */
export const exportExplained: typeof import('./export/self-explaining.js').exportExplained = async (
  model,
  options,
) => (await import('./export/self-explaining.js')).exportExplained(model, options);

/** Explains pictures into a folder, as the command does: see `RunOptions`, and `Summary` for what it came to. */
export const explainFolder: typeof import('./batch/explain-folder.js').explainFolder = async (
  options,
  listener,
) => (await import('./batch/explain-folder.js')).explainFolder(options, listener);
