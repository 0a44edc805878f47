import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { encodePng } from '../../src/image/encode.js';
import { randomNumbers } from '../map/random.js';
import { bytesFrom, classifier } from '../support/network.js';

/** A temporary folder with a model and pictures; the test file removes it. */
export const root = mkdtempSync(join(tmpdir(), 'gradcampp-run-'));
export const model = join(root, 'model.onnx');
export const photos = join(root, 'photos');
export const count = 40;

/** Pictures of noise in several sizes; every tenth is no picture. */
export function makeInputs(): void {
  writeFileSync(model, bytesFrom(classifier()));
  mkdirSync(join(photos, 'more'), { recursive: true });
  for (let i = 0; i < count; i++) {
    const bytes = i % 10 === 7 ? 'no picture' : noise(i);
    writeFileSync(join(photos, i % 4 === 0 ? 'more' : '', `p${i}.png`), bytes);
  }
}

/** A picture as PNG. */
export function noise(seed: number): Buffer {
  const next = randomNumbers(seed + 1);
  const [width, height] = [9 + (seed % 5), 8 + (seed % 3)];
  const data = Uint8Array.from({ length: width * height * 3 }, () => 255 * next());
  return encodePng({ data, width, height, channels: 3 });
}

export function newFolder(): string {
  return mkdtempSync(join(root, 'out-'));
}

/** Names and digests of everything in a folder, empty folders too. */
export function digest(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const text = /^index(-\d+)?\.html$/.test(entry.name) && readFileSync(path, 'utf8');
    // Where the pictures are, seen from the folder, is another way from another folder.
    const page = text && text.replaceAll(/(href|src)="(\.\.\/)+[^"]*"|url\([^)]*\)/g, '');
    const content = entry.isDirectory() ? 'folder' : page || readFileSync(path);
    return [relative(folder, path), createHash('sha256').update(content).digest('hex')] as const;
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function linesIn(folder: string) {
  return readFileSync(join(folder, 'results.jsonl'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}
