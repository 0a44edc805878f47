import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { encodePng } from '../../src/image/encode.js';
import { encodeNpy } from '../../src/image/npy.js';
import { pattern } from '../image/pictures.js';

/** Writes a file of every kind that is read; gives their paths. */
export async function pictureFiles(folder: string): Promise<string[]> {
  const { data, width, height, channels } = pattern(45, 34);
  const make = () => sharp(data, { raw: { width, height, channels } });
  const two = Buffer.concat([data, data.map((value) => value ^ 99)]);
  const animated = () => sharp(two, { raw: { width, height: height * 2, channels, pageHeight: height } });
  const files: Record<string, Uint8Array> = {
    'a.png': encodePng({ data, width, height, channels }),
    'interlaced.png': await make().png({ progressive: true }).toBuffer(),
    'palette.png': await make().withMetadata({ orientation: 6 }).png({ palette: true }).toBuffer(),
    '16.png': await make().toColourspace('rgb16').ensureAlpha(0.4).png().toBuffer(),
    'baseline.jpg': await make().jpeg({ optimiseCoding: false }).toBuffer(),
    'progressive.jpg': await make().withMetadata({ orientation: 5 }).jpeg({ progressive: true }).toBuffer(),
    'cmyk.jpg': await make().toColourspace('cmyk').jpeg().toBuffer(),
    'animated.gif': await animated()
      .gif({ delay: [50, 50] })
      .toBuffer(),
    'a.gif': await make().gif({ progressive: true }).toBuffer(),
    'a.webp': await make().ensureAlpha(0.5).webp().toBuffer(),
    'lossless.webp': await make().webp({ lossless: true }).toBuffer(),
    'animated.webp': await animated()
      .webp({ delay: [50, 50] })
      .toBuffer(),
    'a.tif': await make().tiff({ compression: 'none' }).toBuffer(),
    'lzw.tif': await make().tiff({ compression: 'lzw', predictor: 'horizontal' }).toBuffer(),
    'tiles.tif': await make()
      .tiff({ compression: 'jpeg', tile: true, tileWidth: 16, tileHeight: 16 })
      .toBuffer(),
    'big.tif': await make().tiff({ compression: 'deflate', bigtiff: true }).toBuffer(),
    'a.avif': await make().avif({ effort: 0 }).toBuffer(),
    'a.npy': encodeNpy({ type: 'float32', dims: [3, 4, 5], data: new Float32Array(60) }),
  };
  const paths = Object.keys(files).map((name) => join(folder, name));
  await Promise.all(Object.values(files).map((bytes, i) => writeFile(paths[i], bytes)));
  return paths;
}
