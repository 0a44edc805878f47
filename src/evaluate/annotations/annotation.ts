/** A rectangle as fractions of the picture, so that it holds whatever size the picture was saved at. */
export interface RelativeBox {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/** One annotated thing. */
export interface AnnotatedObject {
  /** The class name as the data set spells it. */
  readonly class: string;
  readonly box: RelativeBox;
}

/** Objects by picture: file name without folder and extension. A picture without objects has an empty list. */
export type Annotations = ReadonlyMap<string, readonly AnnotatedObject[]>;

/** `pictures/000025.jpg` → `000025`: what the annotation formats call their pictures. */
export function pictureKey(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  const dot = name.lastIndexOf('.');
  return dot > 0 ? name.slice(0, dot) : name;
}
