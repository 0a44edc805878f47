/** The same explainer in a page, on onnxruntime-web: `gradcampp/web`. */
export {
  Explainer,
  type PictureResult,
  View,
  type WebExplainerOptions,
} from './explainer.js';
export { Captioner, type WebCaptionerOptions } from './captioner.js';
export type { WebImageInput } from './sendable.js';
export type { Look } from './canvas-view.js';
export type { ShownExplanation } from './service.js';
export type { DownloadProgress, PageFile } from './download.js';
export type { Prediction } from '../explain/network-explainer.js';
export type {
  AttentionMap,
  CaptionExplanation,
  CaptionSummary,
  TokenExplanation,
} from '../caption/caption-explanation.js';
export type { CaptionOptions } from '../caption/caption-options.js';
export type { Explanation, ExplanationMap, TargetExplanation } from '../explain/explanation.js';
export type { ExplainOptions, Method, Variant } from '../explain/explain-options.js';
export type { Target } from '../targets/index.js';
export type { Colormap } from '../image/colormap.js';
export {
  drawBox,
  drawCutout,
  drawHeat,
  drawMap,
  drawOverlay,
  type OverlayOptions,
} from '../image/overlay.js';
export type { AnyPixels, Pixels, Rectangle } from '../image/pixels.js';
export { type Region, regions, toPicture } from '../image/regions.js';
export { encodeNpy } from '../image/npy.js';
export { toImageData } from './canvas.js';
export { type ErrorCode, GradcamppError } from '../errors.js';
export type { Tensor } from '../tensor.js';
