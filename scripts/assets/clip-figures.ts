import {
  type FaithfulnessRecord,
  measureFaithfulness,
} from '../../src/evaluate/faithfulness/masked-picture.js';
import type { FaithfulnessSettings } from '../../src/evaluate/faithfulness/measuring-options.js';
import { openSubject } from '../../src/evaluate/open.js';
import { sheetOf } from '../../src/evaluate/report/frame-sheet.js';
import type { Subject, Variant } from '../../src/evaluate/subject.js';
import { measureTubes, type TubeRecord } from '../../src/evaluate/tubes/annotated-clip.js';
import type { Tube } from '../../src/evaluate/tubes/tube-file.js';
import { clipSize, tensorOf } from './action.js';
import { type Action, drawClip, type DrawnClip, frameCount } from './clips.js';

/** The network over clips that are drawn when they are asked for, by the seed that is their name. */
export async function openDrawn(model: string): Promise<Subject> {
  const subject = await openSubject(model, { backend: 'reference', threads: 1 });
  const [width, height] = [clipSize, clipSize];
  const input = { width, height };
  return {
    ...subject,
    prepare: async (image) => {
      const clip = drawClip(Number(image), clipSize);
      const view = () =>
        sheetOf(
          clip.frames.map((data) => ({ data, ...input, channels: 3 as const })),
          subject.size,
        );
      const geometry = { picture: input, crop: { x: 0, y: 0, ...input }, input };
      return { image, tensor: tensorOf(clip), view, geometry };
    },
  };
}

/** What was found of one clip. */
export interface ClipFigures {
  readonly action: Action;
  /** Best class. */
  readonly found: string;
  /** Whether the action lasts a third of the clip. */
  readonly isShort: boolean;
  /** Of the best class, right or wrong. */
  readonly tube: TubeRecord;
}

/** The best class of a drawn clip, and how its maps lie where and when the action takes place. */
export async function clipFigures(
  subject: Subject,
  seed: number,
  variants: readonly Variant[],
): Promise<ClipFigures> {
  const clip = drawClip(seed, clipSize);
  const job = { image: String(seed), tubes: [tubeOf(clip)] };
  const { record } = await measureTubes(subject, job, { variants, seed: 1, target: 'top' });
  return {
    action: clip.action,
    found: subject.classes[record.class],
    isShort: clip.last - clip.first + 1 === frameCount / 3,
    tube: record,
  };
}

/** Average drop, increase and deletion over time of the best class of a drawn clip. */
export async function clipFaithfulness(
  subject: Subject,
  seed: number,
  settings: FaithfulnessSettings,
): Promise<FaithfulnessRecord> {
  return (await measureFaithfulness(subject, { image: String(seed) }, settings)).record;
}

/** Where the action takes place, whatever it is taken for. */
export function tubeOf({ first, last, boxes }: DrawnClip): Tube {
  const own = boxes
    .slice(first, last + 1)
    .flatMap((frame, i) => frame.map(([x0, y0, x1, y1]) => ({ frame: first + i, box: { x0, y0, x1, y1 } })));
  return { class: '', boxes: own };
}
