import type { Interpolation, Preprocessing } from './preprocess.js';

/** Hugging Face's `preprocessor_config.json`, as far as it says how a picture becomes the input. */
interface PreprocessorConfig {
  readonly do_resize?: boolean;
  readonly size?: number | Partial<Record<'height' | 'width' | 'shortest_edge', number>>;
  readonly do_center_crop?: boolean;
  readonly crop_size?: number | Partial<Record<'height' | 'width', number>>;
  readonly crop_pct?: number;
  /** Pillow's numbers: 2 bilinear, 3 bicubic. */
  readonly resample?: number;
  readonly do_rescale?: boolean;
  readonly rescale_factor?: number;
  readonly do_normalize?: boolean;
  readonly image_mean?: readonly number[];
  readonly image_std?: readonly number[];
}

const marks = ['image_processor_type', 'feature_extractor_type', 'image_mean', 'do_resize', 'do_rescale'];

/** Whether a JSON value is such a file. */
export function isPreprocessorConfig(value: unknown): value is PreprocessorConfig {
  return (
    value !== null && typeof value === 'object' && marks.some((key) => key in value) && !('input' in value)
  );
}

const resamples: Readonly<Record<number, Interpolation>> = { 2: 'pillow-bilinear', 3: 'pillow-bicubic' };

/**
 * The same as this package's preprocessing: resized to the shorter edge and cropped, or stretched to the size; rescaled; mean
 * and std. Other kinds of resampling than bilinear and bicubic become bilinear, which `notes` says.
 */
export function fromPreprocessorConfig(config: PreprocessorConfig): {
  preprocessing: Preprocessing;
  notes: string[];
} {
  const {
    size = 224,
    crop_size: crop,
    resample = 2,
    rescale_factor: factor = 1 / 255,
    crop_pct: share,
  } = config;
  const notes: string[] = [];
  const whole = typeof size === 'number' ? { shortest_edge: size } : size;
  const edge = whole.shortest_edge;
  const cropped = crop === undefined || typeof crop === 'number' ? { height: crop, width: crop } : crop;
  const isCropped = config.do_center_crop ?? (edge !== undefined && crop !== undefined);
  const height = (isCropped ? cropped.height : whole.height) ?? whole.height ?? edge ?? 224;
  const width = (isCropped ? cropped.width : whole.width) ?? whole.width ?? edge ?? 224;
  const interpolation = resamples[resample];
  if (!interpolation) notes.push(`Its resampling ${resample} is not known here: bilinear is used.`);
  // ConvNeXT and its kind: the shorter edge becomes size / crop_pct, then a centre crop.
  const resize = share !== undefined && edge !== undefined && edge < 384 ? Math.trunc(edge / share) : edge;
  const isStretched = !isCropped && share === undefined && (edge === undefined || typeof size === 'number');
  // (v · factor − mean) / std is (v / 255 − mean / k) / (std / k) with k = 255 · factor.
  const k = config.do_rescale === false ? 255 : 255 * factor;
  const normalizes = config.do_normalize !== false;
  const scaled = (list: readonly number[] | undefined, otherwise: number) =>
    (normalizes && list ? list : [otherwise, otherwise, otherwise]).map((value) => value / k);
  return {
    preprocessing: {
      layout: 'NCHW',
      size: [height, width],
      resize: config.do_resize === false || isStretched ? undefined : resize,
      resizeMode: isStretched ? 'stretch' : 'shorter-edge',
      interpolation: interpolation ?? 'pillow-bilinear',
      channels: 'RGB',
      range: 1,
      mean: scaled(config.image_mean, 0),
      std: scaled(config.image_std, 1),
    },
    notes,
  };
}
