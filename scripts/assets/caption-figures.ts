import { mean } from '../../src/evaluate/statistics.js';
import { imagesOf } from './fit.js';
import type { Scene } from './scene.js';
import { end, type WordClass, wordClasses } from './sentence.js';
import { best, type Speaker } from './speaker.js';

/** How well a captioner speaks of scenes; shares are 0…1. */
export interface CaptionFigures {
  readonly pictures: number;
  /** Share of words that are the likeliest after the sentence's words before them. */
  readonly words: Readonly<Record<WordClass | 'all', number>>;
  /** Share of pictures of which the captioner says the sentence by itself, word for word. */
  readonly sentences: number;
  /** Share of the sentences' groups that it says by itself, with count, colour and kind right. */
  readonly groups: number;
  /** What it says by itself. */
  readonly said: readonly (readonly string[])[];
}

/** Asks for the words of scenes that are drawn at the size of the network: once along each sentence, once without. */
export async function captionFigures(speaker: Speaker, scenes: readonly Scene[]): Promise<CaptionFigures> {
  const pictures = imagesOf(
    scenes,
    scenes.map((_, index) => ({ index, isMirrored: false })),
  );
  const sentences = scenes.map(({ words }) => [...words, end]);
  const scores = await speaker.along(pictures, sentences);
  const said = await speaker.say(pictures);
  const right = sentences.flatMap((words, i) =>
    words.map((word, t) => ({ word, isRight: Number(best(scores[i][t]) === word) })),
  );
  const shareOf = (is: (word: string) => boolean) =>
    mean(right.flatMap(({ word, isRight }) => (is(word) ? [isRight] : [])));
  const classes = Object.entries(wordClasses).map(
    ([name, own]: [string, readonly string[]]) => [name, shareOf((word) => own.includes(word))] as const,
  );
  return {
    pictures: scenes.length,
    words: { ...(Object.fromEntries(classes) as Record<WordClass, number>), all: shareOf(() => true) },
    sentences: mean(said.map((words, i) => Number(words.join(' ') === scenes[i].words.join(' ')))),
    groups: mean(
      scenes.flatMap(({ words }, i) =>
        groupsIn(words).map((group) => Number(groupsIn(said[i]).includes(group))),
      ),
    ),
    said,
  };
}

/** "two red apples", "a blue cup". */
function groupsIn(words: readonly string[]): string[] {
  return words.slice(0, -2).join(' ').split(' and ');
}
