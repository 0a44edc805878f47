export { Explainer } from './batch/explainer.js';
export { Captioner } from './caption/captioner.js';
export type { CaptionerOptions, CaptionOptions } from './caption/caption-options.js';
export type {
  AttentionMap,
  CaptionExplanation,
  CaptionSummary,
  TokenExplanation,
} from './caption/caption-explanation.js';
export type { ExplainAllOptions, PictureResult } from './batch/explain-all.js';
export type { PictureInput } from './batch/inputs/stream-items.js';
export type { Prediction } from './explain/network-explainer.js';
export type { Explanation, ExplanationMap, FrameFacts, TargetExplanation } from './explain/explanation.js';
export type { ImageInput } from './explain/input.js';
export type { ClipFrames, FrameList } from './clip/clip.js';
export type { Inspection } from './explain/inspect.js';
export type { ExplainerOptions, ExplainOptions, Method, Variant } from './explain/explain-options.js';
export type { Target } from './targets/index.js';
export type { ExportOptions } from './export/export-options.js';
export type { Listener, RunOptions, Summary } from './batch/explain-folder.js';
export { explainFolder, exportExplained, inspect } from './later.js';
export type { FailedLine, ResultLine } from './batch/results/result-line.js';
export { decodeImage, type ImageSource } from './image/decode.js';
export { encodeImage, type EncodeOptions, encodePng, type PictureFormat } from './image/encode.js';
export { encodeNpy, readNpy } from './image/npy.js';
export type { Colormap } from './image/colormap.js';
export { drawBox, drawCutout, drawHeat, drawMap, drawOverlay, type OverlayOptions } from './image/overlay.js';
export type { ClipLayout, FrameSampling } from './image/frame-sampling.js';
export type { AnyPixels, Pixels, Rectangle } from './image/pixels.js';
export { type Region, regions, toPicture } from './image/regions.js';
export type { ModelFile } from './graph/model-file.js';
export { type ErrorCode, GradcamppError } from './errors.js';
export { version } from './package.js';
export type { Tensor } from './tensor.js';
