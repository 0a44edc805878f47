import { GradcamppError } from '../../errors.js';

/** A rectangle; of the whole picture in fractions, or in pixels from its upper left corner. */
export interface AnnotatedBox {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** A rectangle as fractions of the picture, so that it holds whatever size the picture was saved at. */
export type RelativeBox = AnnotatedBox;

/** One annotated thing. */
export interface AnnotatedObject {
  /** The class name as the data set spells it. */
  readonly class: string;
  readonly box: AnnotatedBox;
  /** What the box counts. */
  readonly unit: 'fraction' | 'pixel';
  /** File and line or item, for messages. */
  readonly place: string;
  /** Marked as difficult (Pascal VOC) or as a crowd of things (COCO). */
  readonly isFlagged?: boolean;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What is annotated of one picture. */
export interface Annotation {
  readonly objects?: readonly AnnotatedObject[];
  /** The size that pixels are of, as the annotation declares it; absent: it declares none. */
  readonly declared?: Size;
  /** Mask files by class; '' where the class is not said. */
  readonly masks?: Readonly<Record<string, string>>;
}

/** How a picture's size is known, where it is not the declared one: none is declared, another, or one that was scaled. */
export type SizeRemark = 'none declared' | 'another declared' | 'scaled';

/**
 * The size that an annotation's pixels are of: the declared one where it is the picture's own or has its proportions, so that
 * the picture was saved at another size; otherwise the picture's own.
 */
export function sizeOfPixels(
  declared: Size | undefined,
  picture: Size,
): { readonly size: Size; readonly remark?: SizeRemark } {
  if (!declared) return { size: picture, remark: 'none declared' };
  if (declared.width === picture.width && declared.height === picture.height) return { size: picture };
  // Saved at another size, each edge was rounded on its own.
  const scales = (edge: 'width' | 'height') => [
    (picture[edge] - 1) / declared[edge],
    (picture[edge] + 1) / declared[edge],
  ];
  const [[low, high], [least, most]] = [scales('width'), scales('height')];
  const isScaled = Math.max(low, least) <= Math.min(high, most);
  return isScaled ? { size: declared, remark: 'scaled' } : { size: picture, remark: 'another declared' };
}

/** A box as fractions, cut to the picture. @throws GradcamppError INVALID_IMAGE where nothing of it is in the picture */
export function relativeBox({ box, unit, place }: AnnotatedObject, { width, height }: Size): RelativeBox {
  const [w, h] = unit === 'pixel' ? [width, height] : [1, 1];
  const cut = (value: number): number => Math.min(Math.max(value, 0), 1);
  const result = { x0: cut(box.x0 / w), y0: cut(box.y0 / h), x1: cut(box.x1 / w), y1: cut(box.y1 / h) };
  if (result.x1 > result.x0 && result.y1 > result.y0) return result;
  const edges = [box.x0, box.y0, box.x1, box.y1].map((edge) => Number(edge.toFixed(4))).join(', ');
  const whole = unit === 'pixel' ? `${width} × ${height} pixels` : '1 × 1';
  throw badAnnotation(`${place} must mark a part of the picture, ${whole}; received the box ${edges}`);
}

/** The box around some points. */
export function boxAround(points: readonly (readonly [number, number])[]): AnnotatedBox {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return {
    x0: xs.reduce((a, b) => Math.min(a, b)),
    y0: ys.reduce((a, b) => Math.min(a, b)),
    x1: xs.reduce((a, b) => Math.max(a, b)),
    y1: ys.reduce((a, b) => Math.max(a, b)),
  };
}

/** Something is wrong with the annotation of one picture: that picture fails, and the others go on. */
export function badAnnotation(message: string): GradcamppError {
  return new GradcamppError('INVALID_IMAGE', `${message}.`);
}

/** A way to annotate where things are. `formats.ts` lists them. */
export interface AnnotationFormat {
  readonly name: string;
  /** Where annotations and pictures lie in a data set's folder; for messages and the documentation. */
  readonly layout: string;
  /** Finds them there. */
  readonly find: (folder: string) => Promise<Found | undefined>;
  /** Lists what is annotated. `images` are the pictures of the evaluation. */
  readonly read: (path: string, images: readonly string[]) => Promise<AnnotationSet>;
}

export interface Found {
  readonly images: string;
  readonly annotations: string;
}

export interface AnnotationSet {
  /** Every class that the data set names; undefined: only the annotations tell. */
  readonly classes?: readonly string[];
  readonly entries: readonly AnnotationEntry[];
  /** What was left out. */
  readonly remarks?: readonly string[];
}

/** The annotation of one picture, before it is read. */
export interface AnnotationEntry {
  /** What the data set calls the picture: a path, with or without extension, or a name. */
  readonly picture: string;
  /** Where the annotation is, for messages. */
  readonly source: string;
  /** The files that it is read from. */
  readonly files: readonly string[];
  /** @throws GradcamppError INVALID_IMAGE, with file and line */
  readonly read: () => Promise<Annotation>;
}
