import { GradcamppError } from '../../errors.js';
import { best } from '../../targets/common/probabilities.js';
import { colormapTable } from '../../image/colormap.js';
import { random } from '../../random-stream.js';
import { html, jsonScript, page } from '../../html.js';
import type { Label } from '../annotations/labels.js';
import { isOfPicture } from '../report/report-files.js';
import type { Failure } from '../report/report.js';
import { openThumbnails } from '../report/thumbnail.js';
import { f1PerClass } from '../statistics.js';
import type { Subject, Variant } from '../subject.js';
import { checksumOf } from './checksum.js';

export interface StudySettings {
  /** Exactly two: they are shown side by side. */
  readonly variants: readonly [Variant, Variant];
  /** How many classes, those with the highest F1. */
  readonly classes: number;
  /** Pictures of each class. */
  readonly perClass: number;
  readonly seed: number;
  readonly title: string;
}

/** The secret half of a study: which map is whose. Subjects must not see it; scoring needs it. */
export interface StudyKey {
  readonly format: 'gradcampp-study-key/1';
  /** Checksum of everything the page shows. */
  readonly study: string;
  readonly title: string;
  readonly methods: readonly [string, string];
  readonly settings: StudySettings;
  readonly description: Subject['description'];
  readonly classes: readonly { readonly name: string; readonly f1: number; readonly pictures: number }[];
  readonly items: readonly StudyKeyItem[];
  readonly checksum: string;
}

export interface StudyKeyItem {
  readonly id: string;
  readonly image: string;
  readonly class: string;
  /** The method behind map `a` and the one behind map `b`. */
  readonly a: string;
  readonly b: string;
}

/** The public half: what the page shows of one picture. */
interface PageItem {
  readonly id: string;
  readonly class: string;
  readonly picture: string;
  readonly a: PageMap;
  readonly b: PageMap;
}
interface PageMap {
  readonly width: number;
  readonly data: string;
}

export interface Study {
  readonly key: StudyKey;
  /** The self-contained page. */
  readonly page: string;
  /** Pictures that could not take part. */
  readonly failures: readonly Failure[];
}

/**
 * The paper's trust study: the classes with the highest F1 of the network on the labelled pictures, a seeded draw of
 * pictures of each, every one explained for its true class by two methods. Which method is map `a` is drawn for each
 * picture; the page draws left and right, and the order of the pictures, for each subject.
 *
 * @param labels true class of each picture; one without takes no part, nor does one that cannot be read
 * @throws GradcamppError INVALID_OPTION where the pictures do not give enough classes
 */
export async function buildStudy(
  subject: Subject,
  pictures: readonly string[],
  labels: readonly Label[],
  settings: StudySettings,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Study> {
  const total = pictures.length + settings.classes * settings.perClass;
  const known: { readonly picture: string; readonly label: number; readonly predicted: number }[] = [];
  const failures: Failure[] = [];
  onProgress(0, total);
  for (const [i, image] of pictures.entries()) {
    const label = labels[i];
    try {
      if (typeof label === 'object') throw new GradcamppError('INVALID_IMAGE', label.problem);
      const { tensor } = await subject.prepare(image);
      const [predicted] = best(await subject.predict(tensor, 1), 1);
      known.push({ picture: image, label, predicted });
    } catch (error) {
      if (!isOfPicture(error)) throw error;
      failures.push({ image, error: error.message });
    }
    onProgress(i + 1, total);
  }
  const chosen = chooseClasses(
    known.map(({ label }) => label),
    known.map(({ predicted }) => predicted),
    settings,
  );
  const drawn = chosen.flatMap((choice) =>
    random(settings.seed, 'pictures', subject.classes[choice.class])
      .shuffle(known.flatMap(({ picture, label }) => (label === choice.class ? [picture] : [])).sort())
      .slice(0, settings.perClass)
      .map((picture) => ({ picture, class: choice.class })),
  );
  const thumbnails = openThumbnails(drawn.length, 2);
  const items: PageItem[] = [];
  const key: StudyKeyItem[] = [];
  let aspect = 1;
  for (const [i, { picture, class: index }] of drawn.entries()) {
    const prepared = await subject.prepare(picture);
    const { maps } = await subject.explain(prepared, settings.variants, [index]);
    const view = prepared.view();
    aspect = view.width / view.height;
    const shown = maps.map(([map]) => {
      const { data, width } = thumbnails.map(map.data, view.width);
      return { width, data: Buffer.from(data).toString('base64') };
    });
    const [first, second] = random(settings.seed, 'sides', picture).shuffle([0, 1]);
    const id = String(i + 1);
    const name = subject.classes[index];
    items.push({
      id,
      class: name,
      picture: await thumbnails.picture(view),
      a: shown[first],
      b: shown[second],
    });
    const { variants } = settings;
    key.push({ id, image: picture, class: name, a: variants[first].name, b: variants[second].name });
    onProgress(pictures.length + i + 1, total);
  }
  const shown = { title: settings.title, aspect, items };
  const study = checksumOf(shown);
  const unsigned = {
    format: 'gradcampp-study-key/1',
    study,
    title: settings.title,
    methods: [settings.variants[0].name, settings.variants[1].name],
    settings,
    description: subject.description,
    classes: chosen.map((choice) => ({
      name: subject.classes[choice.class],
      f1: choice.f1,
      pictures: key.filter((item) => item.class === subject.classes[choice.class]).length,
    })),
    items: key,
  } as const;
  return {
    key: { ...unsigned, checksum: checksumOf(unsigned) },
    page: await studyPage({ study, ...shown }),
    failures,
  };
}

function chooseClasses(
  labels: readonly number[],
  predicted: readonly number[],
  { classes, perClass }: StudySettings,
) {
  const scores = f1PerClass(labels, predicted);
  const large = scores.filter((score) => score.support >= perClass);
  if (large.length >= classes) return large.slice(0, classes);
  throw new GradcamppError(
    'INVALID_OPTION',
    `A study of ${classes} classes with ${perClass} pictures each needs that many; the data has ${large.length} of ${scores.length} classes with ${perClass} pictures. Give more pictures, or fewer "classes" or "perClass".`,
  );
}

async function studyPage(data: { study: string; title: string; aspect: number; items: readonly PageItem[] }) {
  const count = data.items.length;
  const minutes = Math.max(1, Math.round(count / 10));
  const body = html`<main id="main">
<section id="intro">
<p class="mark">A study of ${count} pictures</p>
<h1>${data.title}</h1>
<p>A computer names what is in a picture. Two methods show which parts of the picture made it say so: red parts counted most, blue parts least. You see the picture and both maps, without their names, and say which map makes you trust the computer more.</p>
<ul>
<li>Go by your first impression. There is no wrong answer; if neither is better, say so.</li>
<li>It takes about ${minutes === 1 ? 'a minute' : `${minutes} minutes`}. Your answers stay in this browser, so you can stop and go on later.</li>
<li>Nothing is sent anywhere: at the end you save a file and hand it over yourself.</li>
</ul>
<form id="start">
<label for="subject">Your code or initials, if you were given any</label>
<input id="subject" name="subject" autocomplete="off" maxlength="60">
<button type="submit" class="primary">Start</button>
</form>
<p id="stored" role="status"></p>
</section>
<section id="task" hidden>
<header><p id="progress" role="status"></p><progress id="bar" max="${count}" value="0" aria-label="Answered pictures"></progress></header>
<h2 id="question" tabindex="-1"></h2>
<div class="stage">
<figure class="original"><div class="frame"><img id="picture" alt=""></div><figcaption>The picture</figcaption></figure>
<figure class="choice"><button type="button" class="frame" id="first" aria-describedby="first-text"><img alt=""><canvas aria-hidden="true"></canvas><span class="visually-hidden">Choose map 1</span></button><figcaption><kbd>1</kbd> This map <span id="first-text" class="visually-hidden"></span></figcaption></figure>
<figure class="choice"><button type="button" class="frame" id="second" aria-describedby="second-text"><img alt=""><canvas aria-hidden="true"></canvas><span class="visually-hidden">Choose map 2</span></button><figcaption><kbd>2</kbd> This map <span id="second-text" class="visually-hidden"></span></figcaption></figure>
</div>
<div class="actions">
<button type="button" id="back"><kbd>←</kbd> Back</button>
<button type="button" id="same"><kbd>0</kbd> About the same</button>
</div>
<p class="help">Keys: <kbd>1</kbd> or <kbd>2</kbd> for a map, <kbd>0</kbd> for about the same, <kbd>←</kbd> for the picture before.</p>
</section>
<section id="end" hidden>
<h2 id="thanks" tabindex="-1">Thank you</h2>
<p>All ${count} pictures are answered. Please save the file with your answers and hand it over to the person who asked you.</p>
<div class="actions"><button type="button" id="save" class="primary">Save answers</button> <button type="button" id="review">Back to the last picture</button></div>
<p id="saved" role="status"></p>
<label for="text">Or copy them from here:</label>
<textarea id="text" readonly rows="5"></textarea>
</section>
<noscript><p>This study needs JavaScript.</p></noscript>
</main>
${jsonScript('data', { ...data, colors: Buffer.from(colormapTable('turbo')).toString('base64') })}`;
  return page(data.title, ['study/study'], body);
}
