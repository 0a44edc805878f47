import type { Estimate } from '../statistics.js';

/** What one evaluation has to tell, independent of how it is shown. `page.ts` turns it into one HTML file. */
export interface Report {
  readonly title: string;
  /** One or two sentences with the main numbers. */
  readonly lead: string;
  /** The compared things, in the order of every list below; `control` marks a random baseline. */
  readonly series: readonly Series[];
  readonly summaries: readonly Summary[];
  readonly duels?: readonly Duel[];
  readonly charts?: readonly Chart[];
  readonly breakdowns?: readonly Breakdown[];
  readonly gallery?: Gallery;
  /** How it was computed: model, hash, layer, settings, versions, seed. */
  readonly provenance: readonly (readonly [string, string])[];
  /** What is to be said of this run alone, such as annotations that were read differently. */
  readonly remarks?: readonly string[];
  /** How to read the numbers: definitions and deviations. */
  readonly notes: readonly string[];
}

/** A picture that could not be measured. */
export interface Failure {
  readonly image: string;
  readonly error: string;
}

export interface Series {
  readonly name: string;
  readonly control?: boolean;
}

/** A table with one row a metric and one column a series. */
export interface Summary {
  readonly title: string;
  readonly caption: string;
  readonly metrics: readonly MetricRow[];
}

/** One metric: its words and the means of every series. */
export interface MetricRow {
  /** What `results.json` calls it. */
  readonly key: string;
  readonly name: string;
  /** What it means, in a few words. */
  readonly hint: string;
  readonly better?: 'lower' | 'higher';
  /** Factor and unit of what is shown: 100 and "%" for shares. */
  readonly scale: number;
  readonly unit: string;
  readonly digits: number;
  /** One a series; undefined where it does not apply. */
  readonly values: readonly (Estimate | undefined)[];
  /** What a map gets that knows nothing of the picture, by construction; undefined where no map is measured. */
  readonly byChance?: Chance;
}

export interface Chance {
  /** In words. */
  readonly text: string;
  /** In the unit of the values before `scale`; undefined where it is no fixed number. */
  readonly value?: number;
  /** `value` is what is not exceeded in the mean. */
  readonly isBound?: boolean;
}

/** Two series on the same pictures. */
export interface Duel {
  readonly a: string;
  readonly b: string;
  /** Shares of pictures, adding up to 1. */
  readonly wins: { readonly a: number; readonly b: number; readonly ties: number };
  /** Mean difference a − b of the tested metric, and the p value of the paired test. */
  readonly difference: number;
  readonly p: number;
  readonly tested: string;
}

/** One metric class by class. */
export interface Breakdown {
  readonly title: string;
  readonly caption: string;
  readonly scale: number;
  readonly unit: string;
  readonly digits: number;
  readonly rows: readonly {
    readonly class: string;
    readonly count: number;
    /** Means, one a series. */
    readonly values: readonly number[];
  }[];
}

export interface Chart {
  /** What `results.json` calls it. */
  readonly key: string;
  readonly title: string;
  readonly caption: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly x: readonly number[];
  /** One a series; undefined where there is none. */
  readonly lines: readonly (Line | undefined)[];
}

export interface Line {
  readonly y: readonly number[];
  /** Pointwise 95 % intervals. */
  readonly low?: readonly number[];
  readonly high?: readonly number[];
  /** Said in the legend, such as the area under the curve. */
  readonly note: string;
}

/** A way to sort: a title and the value each item has, largest first unless `ascending`. */
export interface GalleryOrder {
  readonly title: string;
  readonly ascending?: boolean;
}

export interface Gallery {
  /** Ways to sort beside the name. */
  readonly orders: readonly GalleryOrder[];
  /** Pictures in the evaluation; the gallery may hold fewer. */
  readonly total: number;
  /** Width over height of every picture. */
  readonly aspect: number;
  /** Tiny pictures are shown with hard pixels. */
  readonly pixelated?: boolean;
  readonly items: readonly GalleryItem[];
}

export interface GalleryItem {
  readonly name: string;
  readonly class: string;
  /** Such as "p = 0.83". */
  readonly caption: string;
  /** A data URL. */
  readonly picture: string;
  /** One an order; NaN sorts last. */
  readonly values: readonly number[];
  /** One a series. */
  readonly maps: readonly GalleryMap[];
  /** Ground truth, as fractions of the picture: x0, y0, x1, y1. */
  readonly boxes?: readonly (readonly [number, number, number, number])[];
}

export interface GalleryMap {
  /** 0 … 255, row-major, `width` wide. Empty maps have no bytes. */
  readonly data: Uint8Array;
  readonly width: number;
  /** Under the picture, such as "drop 24 %". */
  readonly score: string;
}

/** What a report keeps of one picture. */
export interface ShownPicture {
  readonly picture: string;
  readonly maps: readonly Omit<GalleryMap, 'score'>[];
  /** Mean absolute difference between the maps, over all pairs that are not random: 0 agree, 1 opposite. */
  readonly disagreement: number;
}
