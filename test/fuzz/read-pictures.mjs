// Reads damaged pictures and .npy files one after the other, in a process of its own, and says of each what became of it.
// Usage: node read-pictures.mjs DIST FIRST LAST FILE...   (mutant i damages file i modulo their number with seed i)
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { mutatePicture } from './mutate.mjs';

const [dist, first, last, ...files] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { GradcamppError } = await load('errors.js');
const { decodeImage } = await load('image/decode.js');
const { parseNpy } = await load('image/npy.js');

/** Declared sizes are held to this: 12 MiB of pixels. */
const maxPixels = 4 * 2 ** 20;

async function read(bytes) {
  if (bytes[0] === 0x93) return { size: parseNpy(bytes).data.length };
  const { data, width, height } = await decodeImage(bytes, { maxPixels });
  if (data.length !== width * height * 3) throw new Error(`${data.length} bytes of ${width} × ${height}`);
  return { size: data.length, digest: createHash('sha256').update(data).digest('hex') };
}

const originals = files.map((path) => readFileSync(path));
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
for (let i = Number(first); i < Number(last); i++) {
  const { kind, bytes } = mutatePicture(originals[i % originals.length], i);
  const file = files[i % files.length].split('/').at(-1);
  say({ i, kind, file, began: true });
  const start = performance.now();
  let outcome = 'read';
  let message = '';
  try {
    const { digest } = await read(bytes);
    // What is read is the same each time: no part of it is memory that nobody wrote.
    if (i % 4 === 0 && digest !== (await read(bytes)).digest) [outcome, message] = ['foreign', 'two readings differ'];
  } catch (error) {
    const isRefused = error instanceof GradcamppError && error.code === 'INVALID_IMAGE' && isSentence(error.message);
    outcome = isRefused ? 'refused' : 'foreign';
    message = isRefused ? error.message : String(error?.stack ?? error);
  }
  say({ i, kind, file, outcome, message, milliseconds: performance.now() - start, mebibytes: process.memoryUsage().rss / 2 ** 20 });
}

/** One line, short, in words of this package: none of the libraries' below. */
function isSentence(message) {
  return (
    /^(The picture cannot be read as a picture|"the tensor" cannot be read as \.npy): [^\n]+\.$/.test(message) &&
    message.length < 400 &&
    !/\p{Cc}|vips|libpng|zlib|heif|gif2|tiff2|webp2|Error:|undefined|NaN|\[object/iu.test(message)
  );
}
