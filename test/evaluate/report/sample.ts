import type { GalleryItem, Report } from '../../../src/evaluate/report/report.js';
import { encodePng } from '../../../src/image/encode.js';

/** A report of made-up numbers with `count` pictures: item i is worse for "first" the larger i is. */
export function reportOf(count: number): Report {
  const value = (mean: number) => ({ mean, low: mean - 0.05, high: mean + 0.05, count });
  return {
    title: 'Sample',
    lead: 'A report of made-up numbers.',
    series: [{ name: 'first' }, { name: 'second' }, { name: 'random', control: true }],
    summaries: [
      {
        title: 'Sample',
        caption: `${count} pictures.`,
        metrics: [
          {
            key: 'drop',
            name: 'Drop',
            hint: 'made up',
            better: 'lower',
            scale: 100,
            unit: '%',
            digits: 1,
            values: [value(0.25), value(0.5), value(0.75)],
            byChance: { text: 'half of <all>', value: 0.5, isBound: true },
          },
          {
            key: 'missing',
            name: 'Missing',
            hint: 'not measured everywhere',
            byChance: { text: 'no fixed number' },
            scale: 1,
            unit: '',
            digits: 3,
            values: [value(0.1), undefined, { mean: NaN, low: NaN, high: NaN, count: 0 }],
          },
        ],
      },
    ],
    duels: [
      {
        a: 'first',
        b: 'second',
        wins: { a: 0.6, b: 0.3, ties: 0.1 },
        difference: -0.25,
        p: 0.0004,
        tested: 'drop',
      },
    ],
    charts: [
      {
        key: 'kept',
        title: 'Kept',
        caption: 'Made up.',
        xLabel: 'area',
        yLabel: 'confidence',
        x: [0, 0.5, 1],
        lines: [
          { y: [0, 0.6, 1], low: [0, 0.5, 1], high: [0, 0.7, 1], note: 'AUC 0.55' },
          { y: [0, 0.4, 1], note: 'AUC 0.45' },
          { y: [-0.2, 0.1, 1], note: 'AUC 0.25' },
        ],
      },
    ],
    breakdowns: [
      {
        title: 'Drop by class',
        caption: 'Made up.',
        scale: 100,
        unit: '%',
        digits: 1,
        rows: [{ class: 'even', count: 2, values: [0.1, 0.2, NaN] }],
      },
    ],
    gallery: {
      total: count,
      aspect: 1,
      orders: [{ title: 'disagreement' }, { title: 'drop of first' }],
      items: Array.from({ length: count }, (_, i) => itemOf(i, count)),
    },
    provenance: [
      ['model', 'sample.onnx'],
      ['seed', '1'],
    ],
    remarks: ['Made up <b>on purpose</b>.'],
    notes: ['Numbers are made up.'],
  };
}

function itemOf(i: number, count: number): GalleryItem {
  const grey = new Uint8Array(16 * 16 * 3).fill(40 + i);
  const ramp = Uint8Array.from({ length: 49 }, (_, p) => (p * 255) / 48);
  const score = `drop ${i} %`;
  return {
    name: `picture-${String(i).padStart(4, '0')}.jpg`,
    class: i % 2 === 0 ? 'even' : 'odd',
    caption: `p = ${(i / count).toFixed(2)}`,
    picture: `data:image/png;base64,${encodePng({ data: grey, width: 16, height: 16, channels: 3 }).toString('base64')}`,
    // Disagreement has no value for the first picture.
    values: [i === 0 ? NaN : (i * 7) % count, i / count],
    maps: [
      { data: ramp, width: 7, score },
      { data: ramp.toReversed(), width: 7, score },
      { data: new Uint8Array(0), width: 1, score: 'drop 100 %' },
    ],
    ...(i === 1 ? { boxes: [[0.25, 0.25, 0.75, 0.5] as const] } : {}),
  };
}
